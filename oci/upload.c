/* Blobs on their way into a registry; see upload.h. */
#include "oci/upload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/limits.h"
#include "oci/refusal.h"
#include "oci/url.h"

void upload_init(struct upload *upload, struct remote *remote, const struct oci_descriptor *blob,
                 int fd)
{
	*upload = (struct upload){ .remote = remote,
		                   .blob = blob,
		                   .fd = fd,
		                   .whole_bytes = LIMIT_WHOLE_BYTES,
		                   .chunk_bytes = LIMIT_CHUNK_BYTES };
}

static void forget_session(struct upload *upload)
{
	free(upload->location);
	upload->location = NULL;
	upload->offset = 0;
	upload->in_doubt = false;
}

void upload_release(struct upload *upload)
{
	forget_session(upload);
}

/* Ask the registry, or whoever it has sent us to: that one learns no credentials. */
static int ask(struct upload *upload, struct exchange *exchange, bool is_foreign, struct err *err)
{
	if (!is_foreign)
		return remote_ask(upload->remote, exchange, err);
	exchange_release(exchange);
	transport_ask(upload->remote->transport, exchange);
	exchange->foreign = true;
	if (!exchange->failed)
		return 0;
	*err = exchange->err;
	return -1;
}

/* ---- where to go on ---- */

/* The Location of an answer, relative or not (RFC 9110, section 10.2.2), is where to go on. */
static int take_location(struct upload *upload, const struct exchange *exchange, struct err *err)
{
	const char *location = exchange_header(exchange, "Location", 0);
	CLEANUP(cleanup_free) char *url = NULL;
	struct place registry, from, to;

	if (!location)
		return upload->location ? 0
		                        : err_set(err, ERR_FORMAT,
		                                  "it begins an upload and says not where "
		                                  "(no Location)");
	url = url_resolve(exchange->url, location, err);
	if (!url || url_place(url, &to, err) || url_place(exchange->url, &from, err) ||
	    url_place(upload->remote->base, &registry, err))
		return err_context(err, "Location of the upload");
	if (from.secure && !to.secure) {
		(void)err_set(err, ERR_FORMAT,
		              "Location of the upload: from https to http at %s is refused",
		              to.host);
		return err_cause(err, OCI_CAUSE_REDIRECT_REFUSED);
	}
	upload->is_foreign = !place_equal(&registry, &to);
	free(upload->location);
	upload->location = STEAL(url);
	return 0;
}

int64_t upload_range_end(const char *range)
{
	unsigned long long last;
	char *end;

	if (!strncmp(range, "bytes=", 6))
		range += 6;
	if (strncmp(range, "0-", 2) != 0 || range[2] < '0' || range[2] > '9')
		return -1;
	last = strtoull(range + 2, &end, 10);
	if (*end || last >= INT64_MAX)
		return -1;
	return last ? (int64_t)last + 1 : 0;
}

/* What the registry says it has, if that can be: no less than before, no more than was sent. */
static int take_range(struct upload *upload, const struct exchange *exchange, int64_t sent,
                      struct err *err)
{
	const char *range = exchange_header(exchange, "Range", 0);
	int64_t end = range ? upload_range_end(range) : sent;

	if (end < upload->offset || end > sent) {
		forget_session(upload);
		return err_set(err, ERR_NETWORK,
		               "it says that it has the bytes %.40s, of %" PRId64 " that were sent",
		               range ? range : "", sent);
	}
	upload->offset = end;
	return 0;
}

/* ---- the requests ---- */

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int begin(struct upload *upload, bool is_mount, struct err *err)
{
	char path[sizeof("uploads/?mount=") + DIGEST_TEXT_SIZE] = "uploads/?mount=";
	CLEANUP(cleanup_free) char *url = NULL;
	CLEANUP(exchange_release)
	struct exchange exchange = { .method = EXCHANGE_POST,
		                     .form = "",
		                     .content_type = "application/octet-stream",
		                     .size = EXCHANGE_ANY_SIZE };
	const char *least;

	if (is_mount)
		(void)digest_format(&upload->blob->digest, path + strlen(path));
	else
		path[strcspn(path, "?")] = '\0';
	exchange.url = url = remote_url(upload->remote, "blobs", path, err);
	if (!url || ask(upload, &exchange, false, err))
		return -1;
	upload->is_mounted = is_mount && exchange.status == 201;
	if (upload->is_mounted)
		return 0;
	if (exchange.status != 202) {
		(void)refusal_of_push(upload->remote, &exchange, err);
		return -1;
	}
	/* distribution-spec, "Pushing a blob in chunks": no chunk but the last may be smaller. */
	least = exchange_header(&exchange, "OCI-Chunk-Min-Length", 0);
	if (least && strtoll(least, NULL, 10) > upload->chunk_bytes)
		upload->chunk_bytes = smaller(strtoll(least, NULL, 10), upload->blob->size);
	return take_location(upload, &exchange, err);
}

/* What the registry has against a mount may be no reason against an upload. */
static int mount_or_begin(struct upload *upload, struct err *err)
{
	bool is_mount = upload->may_mount;

	upload->may_mount = false;
	if (!is_mount)
		return begin(upload, false, err);
	return begin(upload, true, err) && (err->kind == ERR_NETWORK ||
	                                    err->kind == ERR_CANCELLED || begin(upload, false, err))
	               ? -1
	               : 0;
}

static void on_sent(void *ctx, int64_t bytes)
{
	struct upload *upload = ctx;

	if (upload->progress)
		upload->progress(upload->ctx, upload->base + bytes);
}

/* Send bytes of the blob to a URL of the session. *exchange is the caller's to release. */
static int send_bytes(struct upload *upload, enum exchange_method method, const char *url,
                      int64_t size, struct exchange *exchange, struct err *err)
{
	const struct exchange_upload body = { .fd = upload->fd,
		                              .offset = upload->offset,
		                              .size = size,
		                              .sent = on_sent,
		                              .ctx = upload };
	char range[64];
	const struct exchange_line line = { "Content-Range", range };
	int failed;

	(void)snprintf(range, sizeof(range), "%" PRId64 "-%" PRId64, upload->offset,
	               upload->offset + size - 1);
	*exchange = (struct exchange){
		.method = method,
		.url = url,
		.upload = &body,
		.content_type = "application/octet-stream",
		.lines = &line,
		.line_count = method == EXCHANGE_PATCH,
		.size = EXCHANGE_ANY_SIZE,
		.idle_s = LIMIT_COMMIT_S,
	};
	upload->base = upload->offset;
	failed = ask(upload, exchange, upload->is_foreign, err);
	exchange->upload = NULL;
	exchange->lines = NULL;
	exchange->line_count = 0;
	return failed;
}

/* Whether this answer to a first chunk says that chunks are not understood. */
static bool refuses_chunks(const struct upload *upload, long status)
{
	return !upload->offset && upload->whole_bytes < upload->blob->size &&
	       (status == 400 || status == 404 || status == 405 || status == 411 || status == 501);
}

static int send_chunk(struct upload *upload, struct err *err)
{
	int64_t size = smaller(upload->chunk_bytes, upload->blob->size - upload->offset);
	const int64_t end = upload->offset + size;
	CLEANUP(exchange_release) struct exchange exchange = { .url = NULL };
	CLEANUP(cleanup_free) char *url = strdup(upload->location);

	if (!url)
		return err_set_sys(err, ENOMEM, "upload");
	upload->in_doubt = true;
	if (send_bytes(upload, EXCHANGE_PATCH, url, size, &exchange, err))
		return -1;
	if (refuses_chunks(upload, exchange.status)) {
		forget_session(upload);
		upload->in_one = true;
		return 0;
	}
	if (exchange.status == 416)
		return err_set(err, ERR_NETWORK,
		               "it has other bytes already than we know of (416)");
	if (exchange.status != 202 && exchange.status != 201 && exchange.status != 204)
		return refusal_of_push(upload->remote, &exchange, err);
	if (take_range(upload, &exchange, end, err) || take_location(upload, &exchange, err))
		return -1;
	/* Who takes less, or nothing, each time would be sent chunks for ever. */
	if (upload->offset < end)
		return err_set(err, ERR_NETWORK,
		               "it says that it has %" PRId64 " bytes, of %" PRId64
		               " that were sent",
		               upload->offset, end);
	upload->in_doubt = false;
	return 0;
}

/* Where the session stands (distribution-spec, "Pushing a blob in chunks": GET of its location). */
static int ask_status(struct upload *upload, struct err *err)
{
	CLEANUP(cleanup_free) char *url = strdup(upload->location);
	CLEANUP(exchange_release)
	struct exchange exchange = { .method = EXCHANGE_GET,
		                     .url = url,
		                     .size = EXCHANGE_ANY_SIZE,
		                     .max_bytes = LIMIT_ERROR_BYTES };

	if (!url)
		return err_set_sys(err, ENOMEM, "upload");
	if (ask(upload, &exchange, upload->is_foreign, err))
		return -1;
	if (answer_may_pass(exchange.status))
		return refusal_of_push(upload->remote, &exchange, err);
	/* Forgotten, or of no use: from the start. */
	if (exchange.status != 204 || !exchange_header(&exchange, "Range", 0)) {
		forget_session(upload);
		return 0;
	}
	upload->offset = 0;
	if (take_range(upload, &exchange, upload->blob->size, err) ||
	    take_location(upload, &exchange, err))
		return -1;
	upload->in_doubt = false;
	return 0;
}

/* The last request, with the rest of the bytes: they become the blob. */
static int commit(struct upload *upload, struct err *err)
{
	int64_t size = upload->blob->size - upload->offset;
	CLEANUP(exchange_release)
	struct exchange exchange = { .method = EXCHANGE_PUT,
		                     .form = "",
		                     .content_type = "application/octet-stream",
		                     .size = EXCHANGE_ANY_SIZE,
		                     .idle_s = LIMIT_COMMIT_S,
		                     .answer_ms = 1000L * LIMIT_COMMIT_S };
	char text[DIGEST_TEXT_SIZE];
	CLEANUP(cleanup_free)
	char *url = url_append(upload->location, "digest",
	                       digest_format(&upload->blob->digest, text), err);

	if (!url)
		return -1;
	upload->in_doubt = true;
	exchange.url = url;
	if (size ? send_bytes(upload, EXCHANGE_PUT, url, size, &exchange, err)
	         : ask(upload, &exchange, upload->is_foreign, err))
		return -1;
	if (exchange.status != 201 && exchange.status != 204)
		return refusal_of_push(upload->remote, &exchange, err);
	return 0;
}

int upload_try(struct upload *upload, struct err *err)
{
	bool in_one = upload->in_one || upload->blob->size <= upload->whole_bytes;

	if (in_one)
		forget_session(upload);
	else if (upload->location && upload->in_doubt && ask_status(upload, err))
		return -1;
	if (!upload->location && mount_or_begin(upload, err))
		return -1;
	if (upload->is_mounted)
		return 0;
	while (!in_one && upload->offset < upload->blob->size) {
		if (send_chunk(upload, err))
			return -1;
		if (upload->in_one)
			return upload_try(upload, err);
	}
	return commit(upload, err);
}
