/* Short answers; see http_request.h. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "http_request.h"

enum { ANSWER_MAX_BYTES = 1024 };

bool http_add(struct MHD_Response *response, const char *name, const char *value)
{
	return MHD_add_response_header(response, name, value) == MHD_YES;
}

/* Workers write a date once a poll, not once a request. */
static const char *synced_text(struct instance *instance)
{
	const struct http_settings *settings = &instance->http->settings;
	int64_t at = settings->synced_at ? settings->synced_at(settings->synced_ctx) : 0;

	if (at != instance->synced_at) {
		instance->synced_at = at;
		(void)http_date(at, instance->synced_text);
	}
	return instance->synced_text;
}

static bool add_view_fields(const struct request *request, struct MHD_Response *response)
{
	const char *synced = synced_text(request->instance);

	return http_add(response, "Specman-View", store_view_id(request->view)) &&
	       (!*synced || http_add(response, "Specman-Synced-At", synced));
}

enum MHD_Result http_queue(struct request *request, unsigned status, struct MHD_Response *response,
                           uint64_t bytes)
{
	if ((request->view && !add_view_fields(request, response)) ||
	    (request->instance->is_ending && !http_add(response, "Connection", "close")))
		return MHD_NO;
	request->status = status;
	request->bytes = request->is_head ? 0 : bytes;
	return MHD_queue_response(request->connection, status, response);
}

static int write_text(struct buf *text, const struct request *request, unsigned status,
                      const char *sentence, struct err *err)
{
	if (request->wants_json && status >= 400)
		return buf_addf(text, err, "{\"error\":{\"code\":%u,\"message\":\"%s\"}}\n", status,
		                sentence);
	return *sentence ? buf_addf(text, err, "%s\n", sentence) : buf_addf(text, err, "%s", "");
}

enum MHD_Result http_answer(struct request *request, unsigned status, const char *sentence,
                            const char *name, const char *value)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(ANSWER_MAX_BYTES);
	CLEANUP(cleanup_response) struct MHD_Response *response = NULL;
	bool is_json = request->wants_json && status >= 400;
	struct err err;

	if (write_text(&text, request, status, sentence, &err))
		return MHD_NO;
	response = MHD_create_response_from_buffer(text.size, text.data, MHD_RESPMEM_MUST_COPY);
	if (!response ||
	    !http_add(response, "Content-Type",
	              is_json ? "application/json" : "text/plain; charset=utf-8") ||
	    !http_add(response, "X-Content-Type-Options", "nosniff") ||
	    !http_add(response, "Cache-Control", "no-cache") ||
	    (status >= 400 && !http_add(response, "Vary", "Accept")) ||
	    (name && !http_add(response, name, value)))
		return MHD_NO;
	return http_queue(request, status, response, text.size);
}

enum MHD_Result http_answer_json_take(struct request *request, struct MHD_Response *taken,
                                      uint64_t size)
{
	CLEANUP(cleanup_response) struct MHD_Response *response = taken;

	if (!response || !http_add(response, "Content-Type", "application/json") ||
	    !http_add(response, "X-Content-Type-Options", "nosniff") ||
	    !http_add(response, "Cache-Control", "no-cache"))
		return MHD_NO;
	return http_queue(request, MHD_HTTP_OK, response, size);
}

enum MHD_Result http_answer_later(struct request *request, const char *sentence)
{
	char seconds[12];

	(void)snprintf(seconds, sizeof(seconds), "%d", HTTP_RETRY_SECONDS);
	return http_answer(request, MHD_HTTP_SERVICE_UNAVAILABLE, sentence, "Retry-After", seconds);
}
