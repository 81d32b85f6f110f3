/* The server's own name space, /.specman; see http_request.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "escape.h"
#include "log.h"
#include "http_request.h"

enum { LIST_MAX_BYTES = 16 * 1024 * 1024 };

static const char releases[] = ".specman/releases", views[] = ".specman/views";

struct loading {
	struct offload_job job;
	struct request *request;
	struct store_release release;
	struct store_view *view; /* NULL: it could not be read */
};

bool http_is_own(const char *path)
{
	return !strncmp(path, ".specman", 8) && (path[8] == '/' || !path[8]);
}

/* ---- the list ---- */

static int add_release(struct buf *text, const struct store_release *release, bool is_first,
                       struct err *err)
{
	char digest[DIGEST_TEXT_SIZE];

	if (buf_addf(text, err, "%s\n{\"tag\":\"%s\",\"digest\":\"%s\",\"created\":",
	             is_first ? "" : ",", release->tag, digest_format(&release->manifest, digest)))
		return -1;
	if (*release->created
	            ? buf_addf(text, err, "\"") || escape_json(text, release->created, err) ||
	                      buf_addf(text, err, "\"")
	            : buf_addf(text, err, "null"))
		return -1;
	return buf_addf(text, err, ",\"files\":%" PRIu64 ",\"bytes\":%" PRIu64 "}", release->files,
	                release->bytes);
}

static int write_list(struct buf *text, const struct store_view *view, struct err *err)
{
	if (buf_addf(text, err, "["))
		return -1;
	for (size_t i = 0; i < store_view_release_count(view); i++)
		if (add_release(text, store_view_release(view, i), !i, err))
			return -1;
	return buf_addf(text, err, "\n]\n");
}

/*
 * Made once for a view and shared by all answers of a worker: many clients that take
 * theirs slowly cost no more than one.
 */
struct release_list {
	unsigned uses;
	char view[STORE_VIEW_ID_SIZE];
	struct buf text;
};

static void put_list(void *ctx)
{
	struct release_list *list = ctx;

	if (!list || --list->uses)
		return;
	buf_release(&list->text);
	free(list);
}

void http_own_close(struct instance *instance)
{
	put_list(instance->releases);
	instance->releases = NULL;
}

/* Borrowed from the instance; NULL when it can't be made. */
static struct release_list *list_of(struct instance *instance, const struct store_view *view)
{
	struct release_list *list = instance->releases;
	struct err err;

	if (list && !strcmp(list->view, store_view_id(view)))
		return list;
	list = calloc(1, sizeof(*list));
	if (!list)
		return NULL;
	list->uses = 1;
	list->text.max = LIST_MAX_BYTES;
	(void)strcpy(list->view, store_view_id(view));
	if (write_list(&list->text, view, &err)) {
		put_list(list);
		return NULL;
	}
	put_list(instance->releases);
	instance->releases = list;
	return list;
}

static enum MHD_Result answer_list(struct request *request, const struct store_view *view)
{
	struct release_list *list = list_of(request->instance, view);
	struct MHD_Response *response;

	if (!list)
		return http_answer_later(request, "the list can't be made now");
	response = MHD_create_response_from_buffer_with_free_callback_cls(
		list->text.size, list->text.data, put_list, list);
	if (response)
		list->uses++;
	return http_answer_json_take(request, response, list->text.size);
}

/* ---- one release ---- */

static void load(struct offload_job *job)
{
	struct loading *loading = (struct loading *)(void *)job;
	struct http *http = loading->request->instance->http;
	bool is_wanted = !atomic_load(&http->has_ended); /* a stop waits for what is under way */
	struct store *store = http->settings.store;
	struct err err = { .msg = "" };

	/* Others may have waited for the same one, and it is large. */
	if (is_wanted)
		loading->view = store_release_view_get(store, &loading->release);
	if (is_wanted && !loading->view)
		loading->view = store_release_view_load(store, &loading->release, &err);
	if (is_wanted && !loading->view)
		log_line(LOG_WARNING, "Release not shown by itself",
		         (struct log_field[]){ { "error", err.msg },
		                               { "tag", loading->release.tag },
		                               { NULL, NULL } });
	http_resume(loading->request);
}

void http_loading_free(struct loading *loading)
{
	if (!loading)
		return;
	store_view_put(loading->view);
	free(loading);
}

/* Have the release read; the request is answered when that is done. */
static enum MHD_Result begin_loading(struct request *request, const struct store_release *release)
{
	struct loading *loading = calloc(1, sizeof(*loading));

	if (!loading)
		return http_answer_later(request, "there is no memory for this now");
	loading->job.work = load;
	loading->request = request;
	loading->release = *release;
	request->loading = loading;
	http_suspend(request);
	if (!offload_add(request->instance->http->loader, &loading->job))
		http_resume(request);
	return MHD_YES;
}

static enum MHD_Result answer_from_release(struct request *request,
                                           const struct store_release *release,
                                           const struct target *target, const char *path)
{
	struct store *store = request->instance->http->settings.store;
	struct store_view *view = store_release_view_get(store, release);
	enum MHD_Result result;

	if (!view && request->loading) {
		view = request->loading->view;
		request->loading->view = NULL;
		if (!view)
			return http_answer_later(request, "the release can't be read now");
	}
	if (!view)
		return begin_loading(request, release);
	result = http_answer_path(request, view, target, path);
	store_view_put(view);
	return result;
}

static const struct store_release *find_release(const struct store_view *view, const char *tag,
                                                size_t length)
{
	for (size_t i = 0; i < store_view_release_count(view); i++) {
		const struct store_release *release = store_view_release(view, i);

		if (strlen(release->tag) == length && !memcmp(release->tag, tag, length))
			return release;
	}
	return NULL;
}

/* What follows the prefix in a path: "" or from a slash on; NULL where it does not begin so. */
static const char *behind(const char *path, const char *prefix)
{
	size_t length = strlen(prefix);
	bool is_below = !strncmp(path, prefix, length) && (path[length] == '/' || !path[length]);

	return is_below ? path + length : NULL;
}

static enum MHD_Result answer_releases(struct request *request, struct store_view *view,
                                       const struct target *target, const char *rest)
{
	const struct store_release *release;
	size_t length;

	if (!*rest)
		return answer_list(request, view);
	rest++;
	length = strcspn(rest, "/");
	release = find_release(view, rest, length);
	if (!release)
		return http_answer(request, MHD_HTTP_NOT_FOUND, "no such release", NULL, NULL);
	rest += length;
	return answer_from_release(request, release, target, rest + (*rest == '/'));
}

enum MHD_Result http_answer_own(struct request *request, struct store_view *view,
                                const struct target *target)
{
	const char *rest;

	if ((rest = behind(target->path, releases)))
		return answer_releases(request, view, target, rest);
	if ((rest = behind(target->path, views)))
		return http_answer_views(request, target, rest);
	return http_answer(request, MHD_HTTP_NOT_FOUND, "not found", NULL, NULL);
}
