/*
 * A file's content: as it is or in its gzip form, whole, in part, in several
 * parts, or not at all because the client has it; see http_request.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "accept.h"
#include "base/clock.h"
#include "conditional.h"
#include "http_request.h"
#include "log.h"
#include "media_type.h"
#include "multipart.h"

enum { BOUNDARY_LENGTH = 32 };

/* What of a file is sent (RFC 9110, section 3.2: the selected representation). */
struct representation {
	const struct store_entry *file;
	const char *release;
	bool is_gzip;
	struct digest digest;
	uint64_t size;
	char etag[DIGEST_TEXT_SIZE];
	char boundary[BOUNDARY_LENGTH + 1];
	const char *type;
};

static void select_form(const struct store_view *view, const struct store_entry *file, bool is_gzip,
                        struct representation *out)
{
	char hex[DIGEST_TEXT_SIZE];
	size_t length;

	out->file = file;
	out->release = store_view_release(view, file->release)->tag;
	out->is_gzip = is_gzip;
	out->digest = is_gzip ? store_twin_digest(file) : store_content_digest(file);
	out->size = is_gzip ? file->twin_size : file->size;
	out->type = media_type_of(file->name);
	length = strlen(digest_hex(&out->digest, hex));
	out->etag[0] = '"';
	memcpy(out->etag + 1, hex, length);
	memcpy(out->etag + 1 + length, "\"", 2);
	/* No content has its own digest in it. */
	memcpy(out->boundary, hex, BOUNDARY_LENGTH);
	out->boundary[BOUNDARY_LENGTH] = '\0';
}

/* ---- bodies ---- */

/* What a body is taken from, until its answer is done. */
struct body {
	struct store_content content;
	struct multipart multipart; /* parts.count is 1 where there is one part alone */
	uint64_t first;             /* of that one */
};

static void end_body(void *ctx)
{
	struct body *body = ctx;

	store_content_release(&body->content);
	multipart_release(&body->multipart);
	free(body);
}

static ssize_t read_content(const struct body *body, uint64_t at, char *bytes, size_t size)
{
	struct err err;
	size_t read;

	if (body->content.bytes) {
		memcpy(bytes, (const char *)body->content.bytes + at, size);
		return (ssize_t)size;
	}
	if (!store_content_read(&body->content, at, bytes, size, &read, &err))
		return (ssize_t)read;
	/* Its head is out, with the length: that it ends too early is all that can be said. */
	log_line(LOG_WARNING, "Answer broken off",
	         (struct log_field[]){ { "error", err.msg }, { NULL, NULL } });
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* One part of a large file, as the client takes it. */
static ssize_t read_part(void *ctx, uint64_t at, char *bytes, size_t size)
{
	const struct body *body = ctx;

	return read_content(body, body->first + at, bytes, size);
}

/* Several parts, as the client takes them. */
static ssize_t read_parts(void *ctx, uint64_t at, char *bytes, size_t size)
{
	const struct body *body = ctx;
	struct multipart_piece piece = multipart_at(&body->multipart, at);

	if (size > piece.length)
		size = (size_t)piece.length;
	if (!piece.text)
		return read_content(body, piece.first, bytes, size);
	memcpy(bytes, piece.text, size);
	return (ssize_t)size;
}

static ssize_t read_nothing(void *ctx, uint64_t at, char *bytes, size_t size)
{
	(void)ctx;
	(void)at;
	(void)bytes;
	(void)size;
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *response_with(struct body *body, const struct parts *parts)
{
	const void *bytes = body->content.bytes;

	if (parts->count > 1)
		return MHD_create_response_from_callback(body->multipart.size, STORE_BLOCK_BYTES,
		                                         read_parts, body, end_body);
	if (!bytes)
		return MHD_create_response_from_callback(parts->at[0].length, STORE_BLOCK_BYTES,
		                                         read_part, body, end_body);
	return MHD_create_response_from_buffer_with_free_callback_cls(
		(size_t)parts->at[0].length, (void *)((uintptr_t)bytes + body->first), end_body,
		body);
}

/* A response with these parts of a representation; NULL with *err. */
static struct MHD_Response *make_response(struct request *request,
                                          const struct representation *form,
                                          const struct parts *parts, struct err *err)
{
	const struct multipart_kind kind = { form->boundary, form->type, form->size };
	struct store *store = request->instance->http->settings.store;
	struct MHD_Response *response = NULL;
	struct body *body;

	body = calloc(1, sizeof(*body));
	if (!body) {
		(void)err_set(err, ERR_IO, "no memory for an answer");
		return NULL;
	}
	body->first = parts->at[0].first;
	if (!(form->is_gzip ? store_twin_open(store, form->file, &body->content, err)
	                    : store_content_open(store, form->file, &body->content, err)) &&
	    (parts->count == 1 || !multipart_init(&body->multipart, parts, &kind, err)))
		response = request->is_head ? MHD_create_response_from_callback(
						      form->size, 1, read_nothing, NULL, NULL)
		                            : response_with(body, parts);
	/* HEAD has the answer that GET would have (RFC 9110, section 9.3.2), so it looked, too. */
	if (!response || request->is_head)
		end_body(body);
	return response;
}

/* ---- fields ---- */

/* RFC 9530, section 3: of the whole representation, also where a part is sent. */
static bool add_digest(struct MHD_Response *response, const struct representation *form)
{
	char text[sizeof("sha-256=::") + 48] = "sha-256=:";

	(void)EVP_EncodeBlock((unsigned char *)text + 9, form->digest.bytes,
	                      (int)digest_size(DIGEST_SHA256));
	(void)strcat(text, ":");
	return http_add(response, "Repr-Digest", text);
}

/* What was packed by a clock that is ahead: no date is later than the answer's (section 8.8.2.1).
 */
static int64_t last_modified(const struct store_entry *file)
{
	int64_t now = time(NULL);

	return file->mtime < now ? file->mtime : now;
}

static bool add_fields(struct MHD_Response *response, const struct representation *form)
{
	char date[HTTP_DATE_SIZE];

	return http_add(response, "ETag", form->etag) &&
	       http_add(response, "Last-Modified", http_date(last_modified(form->file), date)) &&
	       http_add(response, "Cache-Control", "no-cache") &&
	       http_add(response, "Specman-Release", form->release) &&
	       (!form->file->twin_size || http_add(response, "Vary", "Accept-Encoding"));
}

/* Those of an answer with content, or of HEAD's without. */
static bool add_content_fields(struct MHD_Response *response, const struct representation *form,
                               enum verdict verdict, const struct parts *parts)
{
	const struct part *part = &parts->at[0];
	char text[96];

	if (!http_add(response, "Accept-Ranges", "bytes") ||
	    !http_add(response, "X-Content-Type-Options", "nosniff") ||
	    !add_digest(response, form) ||
	    (form->is_gzip && !http_add(response, "Content-Encoding", "gzip")))
		return false;
	if (parts->count > 1) {
		(void)snprintf(text, sizeof(text), "multipart/byteranges; boundary=%s",
		               form->boundary);
		return http_add(response, "Content-Type", text);
	}
	if (!http_add(response, "Content-Type", form->type))
		return false;
	if (verdict != VERDICT_PARTS)
		return true;
	(void)snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, part->first,
	               part->first + part->length - 1, form->size);
	return http_add(response, "Content-Range", text);
}

/* ---- answers ---- */

/*
 * libmicrohttpd 0.9.75 puts a Content-Length into a 304, as the last of its fields.
 * That of a 200 would be right (section 8.6), but Node's fetch waits for so many
 * bytes then; any other would be wrong. So none is sent.
 */
static enum MHD_Result answer_not_modified(struct request *request,
                                           const struct representation *form)
{
	CLEANUP(cleanup_response)
	struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL,
	                                                                MHD_RESPMEM_PERSISTENT);

	if (!response || !add_fields(response, form))
		return MHD_NO;
	http_replace_end(request, "Content-Length: 0\r\n\r\n", "\r\n");
	return http_queue(request, MHD_HTTP_NOT_MODIFIED, response, 0);
}

static enum MHD_Result answer_unsatisfiable(struct request *request,
                                            const struct representation *form)
{
	char range[40];

	(void)snprintf(range, sizeof(range), "bytes */%" PRIu64, form->size);
	return http_answer(request, MHD_HTTP_RANGE_NOT_SATISFIABLE, "range not satisfiable",
	                   "Content-Range", range);
}

static uint64_t length_of(const struct parts *parts)
{
	uint64_t length = 0;

	for (size_t i = 0; i < parts->count; i++)
		length += parts->at[i].length;
	return length;
}

/* Of damage the store tells itself; that the process lacks something, nobody else does. */
static void tell_not_served(const struct request *request, const struct err *err)
{
	static const char msg[] = "File not served";
	struct recurring *troubles = request->instance->http->settings.troubles;
	bool is_news = err->kind == ERR_IO &&
	               recurring_happened(troubles, msg, "memory or descriptors", clock_now_ms());

	log_line(is_news ? LOG_ERROR : LOG_DEBUG, msg,
	         (struct log_field[]){ { "error", err->msg }, { NULL, NULL } });
}

/* Whether it could be answered: the gzip form may be damaged where the file itself is not. */
static bool answer_form(struct request *request, const struct representation *form,
                        enum MHD_Result *out_result)
{
	CLEANUP(cleanup_response) struct MHD_Response *response = NULL;
	struct err err = { .msg = "" };
	enum verdict verdict;
	struct parts parts;

	verdict = conditional_judge(&request->head, request->is_head, form->etag, form->file->mtime,
	                            form->size, &parts);
	switch (verdict) {
	case VERDICT_FAILED:
		*out_result = http_answer(request, MHD_HTTP_PRECONDITION_FAILED,
		                          "precondition failed", NULL, NULL);
		return true;
	case VERDICT_UNSATISFIABLE:
		*out_result = answer_unsatisfiable(request, form);
		return true;
	case VERDICT_NOT_MODIFIED:
		*out_result = answer_not_modified(request, form);
		return true;
	default:
		break;
	}
	response = make_response(request, form, &parts, &err);
	if (!response) {
		tell_not_served(request, &err);
		return false;
	}
	*out_result = MHD_NO;
	if (add_fields(response, form) && add_content_fields(response, form, verdict, &parts))
		*out_result = http_queue(
			request, verdict == VERDICT_PARTS ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK,
			response, length_of(&parts));
	return true;
}

enum MHD_Result http_answer_file(struct request *request, const struct store_view *view,
                                 const struct store_entry *file)
{
	struct representation form;
	enum MHD_Result result;

	if (file->twin_size && accept_gzip(request->head.accept_encoding.lines)) {
		select_form(view, file, true, &form);
		if (answer_form(request, &form, &result))
			goto answered;
	}
	select_form(view, file, false, &form);
	if (!answer_form(request, &form, &result))
		return http_answer_later(request, "the file is being repaired, try again");
answered:
	(void)snprintf(request->release, sizeof(request->release), "%s", form.release);
	return result;
}
