/* Files and folders of a view; see http_request.h. */
#include <stdlib.h>
#include <string.h>

#include "accept.h"
#include "base/buf.h"
#include "listing.h"
#include "log.h"
#include "http_request.h"

enum { LISTING_BLOCK = 32 * 1024 };

/* ---- listings ---- */

static ssize_t read_listing(void *ctx, uint64_t at, char *bytes, size_t size)
{
	struct request *request = ctx;
	struct err err;
	size_t read;

	(void)at;
	if (listing_read(request->listing, bytes, size, &read, &err)) {
		log_line(LOG_WARNING, "Answer broken off",
		         (struct log_field[]){ { "error", err.msg }, { NULL, NULL } });
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	request->bytes += read;
	return read ? (ssize_t)read : MHD_CONTENT_READER_END_OF_STREAM;
}

static bool add_listing_fields(struct MHD_Response *response, bool is_json)
{
	return http_add(response, "Content-Type",
	                is_json ? "application/json" : "text/html; charset=utf-8") &&
	       http_add(response, "X-Content-Type-Options", "nosniff") &&
	       http_add(response, "Cache-Control", "no-cache") &&
	       http_add(response, "Vary", "Accept") &&
	       (is_json || http_add(response, "Content-Security-Policy",
	                            "default-src 'none'; style-src 'unsafe-inline'"));
}

/*
 * A listing for HEAD. It has its length where counting the bytes takes no longer
 * than a sorted listing may; else it has to come in chunks as GET's does, and
 * libmicrohttpd 0.9.75 ends an answer without content with a last chunk all the
 * same. NULL without memory.
 */
static struct MHD_Response *head_of_listing(struct request *request, uint32_t entries)
{
	char bytes[4096];
	uint64_t length = 0;
	size_t read = 1;
	struct err err;

	while (entries <= LISTING_SORT_MAX && read) {
		if (listing_read(request->listing, bytes, sizeof(bytes), &read, &err))
			return NULL;
		length += read;
	}
	if (!length)
		http_replace_end(request, "0\r\n\r\n", "");
	return MHD_create_response_from_callback(length ? length : MHD_SIZE_UNKNOWN, LISTING_BLOCK,
	                                         read_listing, request, NULL);
}

static enum MHD_Result answer_listing(struct request *request, struct store_view *view,
                                      const struct store_entry *folder, const struct target *target,
                                      const char *path)
{
	struct listing_order order = listing_order(target->query, target->query_length);
	CLEANUP(cleanup_response) struct MHD_Response *response = NULL;
	struct err err;

	if (!request->instance->http->settings.has_listings)
		return http_answer(request, MHD_HTTP_FORBIDDEN, "folders are not listed", NULL,
		                   NULL);
	store_view_ref(view);
	request->listing = listing_new_take(view, folder,
	                                    request->stays_in_view ? path : target->path,
	                                    request->wants_json, &order, &err);
	if (!request->listing)
		return http_answer_later(request, "the listing can't be made now");
	response = request->is_head
	                   ? head_of_listing(request, folder->child_count)
	                   : MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, LISTING_BLOCK,
	                                                       read_listing, request, NULL);
	if (!response || !add_listing_fields(response, request->wants_json))
		return MHD_NO;
	return http_queue(request, MHD_HTTP_OK, response, 0);
}

/* ---- redirects ---- */

/*
 * A folder without its slash: relative links in it would go wrong (as nginx answers). Escapes
 * may make it longer than what is taken when it is asked for, or than libmicrohttpd has room.
 */
static enum MHD_Result answer_redirect(struct request *request, const struct target *target)
{
	CLEANUP(buf_release) struct buf location = BUF_INIT(6 * TARGET_MAX_BYTES);
	struct err err;

	if (buf_addf(&location, &err, "/") || target_encode(&location, target->path, &err) ||
	    buf_addf(&location, &err, "/") ||
	    (target->query_length &&
	     (buf_addf(&location, &err, "?") ||
	      target_encode_query(&location, target->query, target->query_length, &err))))
		return MHD_NO;
	if (location.size >= TARGET_MAX_BYTES) {
		request->view = NULL; /* it is about the request alone */
		return http_answer(request, MHD_HTTP_URI_TOO_LONG, "URI too long", NULL, NULL);
	}
	return http_answer(request, MHD_HTTP_MOVED_PERMANENTLY, "it is a folder", "Location",
	                   location.data);
}

/* ---- all ---- */

static const struct store_entry *index_of(const struct store_view *view,
                                          const struct store_entry *folder)
{
	static const char name[] = "index.html";
	uint32_t first = 0, behind = folder->child_count;

	while (first < behind) {
		uint32_t middle = first + (behind - first) / 2;
		const struct store_entry *child = store_view_child(view, folder, middle);
		int order = strcmp(name, child->name);

		if (!order)
			return child->is_folder ? NULL : child;
		if (order < 0)
			behind = middle;
		else
			first = middle + 1;
	}
	return NULL;
}

enum MHD_Result http_answer_path(struct request *request, struct store_view *view,
                                 const struct target *target, const char *path)
{
	const struct store_entry *entry = store_view_find(view, path, strlen(path));
	const struct store_entry *index;

	if (!entry || (!entry->is_folder && target->has_slash))
		return http_answer(request, MHD_HTTP_NOT_FOUND, "not found", NULL, NULL);
	if (!entry->is_folder)
		return http_answer_file(request, view, entry);
	if (!target->has_slash)
		return answer_redirect(request, target);
	index = index_of(view, entry);
	return index ? http_answer_file(request, view, index)
	             : answer_listing(request, view, entry, target, path);
}
