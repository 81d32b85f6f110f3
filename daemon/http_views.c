/*
 * Views by their names, /.specman/views; see http_request.h.
 *
 * What lies below a name never changes, and still is answered with no-cache: a
 * cache that asks again costs a 304, and learns when the view is gone or who
 * asks may not ask any more.
 */
#include <string.h>

#include "base/buf.h"
#include "base/timestamp.h"
#include "http_request.h"

enum { ROW_MAX_BYTES = 256 };

static int add_row(struct buf *text, const struct store_view_times *times, struct err *err)
{
	char since[TIMESTAMP_SIZE], until[TIMESTAMP_SIZE];

	if (buf_addf(text, err, "\n{\"digest\":\"%s\",\"since\":\"%s\",", times->id,
	             timestamp_format(times->since_ms, since)))
		return -1;
	return times->until_ms ? buf_addf(text, err, "\"until\":\"%s\",\"current\":false},",
	                                  timestamp_format(times->until_ms, until))
	                       : buf_addf(text, err, "\"until\":null,\"current\":true}");
}

static enum MHD_Result answer_list(struct request *request)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(STORE_VIEWS_MAX * ROW_MAX_BYTES);
	struct store_view_times views[STORE_VIEWS_MAX];
	size_t count = store_views(request->instance->http->settings.store, views);
	struct err err;
	int failed = buf_addf(&text, &err, "[");
	struct MHD_Response *response;
	size_t size;

	for (size_t i = 0; !failed && i < count; i++)
		failed = add_row(&text, &views[i], &err);
	if (failed || buf_addf(&text, &err, "\n]\n"))
		return http_answer_later(request, "the list can't be made now");
	size = text.size;
	response = MHD_create_response_from_buffer(size, text.data, MHD_RESPMEM_MUST_FREE);
	if (response)
		text.data = NULL;
	return http_answer_json_take(request, response, size);
}

/* An answer without the fields of a view, so that it is no answer about a file in one. */
static enum MHD_Result answer_without_view(struct request *request, bool is_gone)
{
	request->view = NULL;
	return is_gone ? http_answer(request, MHD_HTTP_GONE,
	                             "this view was replaced and is gone, begin again", NULL, NULL)
	               : http_answer(request, MHD_HTTP_NOT_FOUND, "no such view", NULL, NULL);
}

enum MHD_Result http_answer_views(struct request *request, const struct target *target,
                                  const char *rest)
{
	struct store_view *view = NULL;
	char id[STORE_VIEW_ID_SIZE];
	enum MHD_Result result;
	bool is_gone = false;
	size_t length;

	if (!*rest)
		return answer_list(request);
	rest++;
	length = strcspn(rest, "/");
	if (length == sizeof(id) - 1) {
		memcpy(id, rest, length);
		id[length] = '\0';
		view = store_view_named(request->instance->http->settings.store, id, &is_gone);
	}
	if (!view)
		return answer_without_view(request, is_gone);
	rest += length;
	request->view = view;
	request->stays_in_view = true;
	result = http_answer_path(request, view, target, rest + (*rest == '/'));
	request->view = NULL;
	store_view_put(view);
	return result;
}
