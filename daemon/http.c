/* The HTTP contract of port 8443; see http.h. */
#include "http.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "conditional.h"
#include "listing.h"
#include "media_type.h"
#include "target.h"

enum {
	CONNECTION_MEMORY = 32 * 1024, /* libmicrohttpd clears it after each answer */
	HEAD_SECONDS = 10,  /* without a byte, until a connection's first request is read */
	IDLE_SECONDS = 120, /* without a byte, from then on */
	LARGE_BLOCK = 128 * 1024,
	RETRY_SECONDS = 5,
};

struct http {
	struct store *store;
};

/* One worker's. */
struct instance {
	struct http *http;
	struct MHD_Daemon *daemon;
	int epoll_fd;
	unsigned busy; /* requests between their first call and their completion */
};

struct request {
	struct instance *instance;
	struct MHD_Connection *connection;
	bool is_head;
	struct store_view *view;
	struct target target;
};

static const char allowed_methods[] = "GET, HEAD, OPTIONS";

static void cleanup_response(struct MHD_Response **response)
{
	if (*response)
		MHD_destroy_response(*response);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* Whether all of these headers could be added; only a lack of memory prevents it. */
static bool add_header(struct MHD_Response *response, const char *name, const char *value)
{
	return MHD_add_response_header(response, name, value) == MHD_YES;
}

/* A short text for people. name and value, when not NULL, are one more header. */
static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
                                   const char *text, const char *name, const char *value)
{
	CLEANUP(cleanup_response)
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);

	if (!response || !add_header(response, "Content-Type", "text/plain; charset=utf-8") ||
	    !add_header(response, "X-Content-Type-Options", "nosniff") ||
	    !add_header(response, "Cache-Control", "no-cache") ||
	    (name && !add_header(response, name, value)))
		return MHD_NO;
	return MHD_queue_response(connection, status, response);
}

static enum MHD_Result answer_later(struct MHD_Connection *connection, const char *text)
{
	char seconds[12];

	(void)snprintf(seconds, sizeof(seconds), "%d", RETRY_SECONDS);
	return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, text, "Retry-After", seconds);
}

/* ---- large files: read as the client takes them ---- */

struct reading {
	int fd;
	uint64_t first;
};

static ssize_t read_part(void *ctx, uint64_t at, char *bytes, size_t size)
{
	const struct reading *reading = ctx;
	ssize_t n;

	do
		n = pread(reading->fd, bytes, size, (off_t)(reading->first + at));
	while (n < 0 && errno == EINTR);
	/* The end can't come before libmicrohttpd has all it asks for: the object was cut off. */
	return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void end_reading(void *ctx)
{
	struct reading *reading = ctx;

	cleanup_fd(&reading->fd);
	free(reading);
}

static struct MHD_Response *response_from_fd(int *fd, const struct part *part)
{
	struct reading *reading = malloc(sizeof(*reading));
	struct MHD_Response *response;

	if (!reading)
		return NULL;
	*reading = (struct reading){ .fd = *fd, .first = part->first };
	response = MHD_create_response_from_callback(part->length, LARGE_BLOCK, read_part, reading,
	                                             end_reading);
	if (response)
		*fd = -1;
	else
		free(reading);
	return response;
}

/* A response with this part of a file as its body; for HEAD nothing is opened. */
static struct MHD_Response *response_for(struct request *request, const struct store_entry *file,
                                         const struct part *part, struct err *err)
{
	CLEANUP(store_content_release) struct store_content content = { .fd = -1 };
	struct MHD_Response *response;
	int none = -1;

	if (request->is_head) {
		response = response_from_fd(&none, part);
	} else {
		if (store_content_open(request->instance->http->store, file, &content, err))
			return NULL;
		if (content.fd >= 0) {
			response = response_from_fd(&content.fd, part);
		} else {
			if (part->first)
				memmove(content.bytes, (char *)content.bytes + part->first,
				        (size_t)part->length);
			response = MHD_create_response_from_buffer(
				(size_t)part->length, content.bytes, MHD_RESPMEM_MUST_FREE);
			if (response)
				content.bytes = NULL;
		}
	}
	if (!response)
		(void)err_set_sys(err, ENOMEM, "answer");
	return response;
}

static bool add_file_headers(struct MHD_Response *response, const struct request *request,
                             const struct store_entry *file, const char *etag)
{
	char date[HTTP_DATE_SIZE];

	return add_header(response, "ETag", etag) &&
	       add_header(response, "Last-Modified", http_date(file->mtime, date)) &&
	       add_header(response, "Accept-Ranges", "bytes") &&
	       add_header(response, "Cache-Control", "no-cache") &&
	       add_header(response, "X-Content-Type-Options", "nosniff") &&
	       add_header(response, "Specman-Release",
	                  store_view_release(request->view, file->release)->tag);
}

static enum MHD_Result answer_file(struct request *request, const struct store_entry *file)
{
	static const unsigned statuses[] = {
		[VERDICT_WHOLE] = MHD_HTTP_OK,
		[VERDICT_PART] = MHD_HTTP_PARTIAL_CONTENT,
		[VERDICT_NOT_MODIFIED] = MHD_HTTP_NOT_MODIFIED,
		[VERDICT_FAILED] = MHD_HTTP_PRECONDITION_FAILED,
		[VERDICT_UNSATISFIABLE] = MHD_HTTP_RANGE_NOT_SATISFIABLE,
	};
	struct MHD_Connection *c = request->connection;
	const struct preconditions conditions = {
		.if_match = header(c, "If-Match"),
		.if_none_match = header(c, "If-None-Match"),
		.if_modified_since = header(c, "If-Modified-Since"),
		.if_unmodified_since = header(c, "If-Unmodified-Since"),
		.range = request->is_head ? NULL : header(c, "Range"),
		.if_range = header(c, "If-Range"),
	};
	CLEANUP(cleanup_response) struct MHD_Response *response = NULL;
	char hex[DIGEST_TEXT_SIZE], etag[DIGEST_TEXT_SIZE + 2], range[80] = "";
	const struct digest content = store_content_digest(file);
	struct err err = { .msg = "" };
	enum verdict verdict;
	struct part part;

	(void)snprintf(etag, sizeof(etag), "\"%s\"", digest_hex(&content, hex));
	verdict = conditional_judge(&conditions, etag, file->mtime, file->size, &part);
	if (verdict == VERDICT_FAILED)
		return answer_text(c, statuses[verdict], "precondition failed\n", NULL, NULL);
	if (verdict == VERDICT_UNSATISFIABLE) {
		(void)snprintf(range, sizeof(range), "bytes */%" PRIu64, file->size);
		return answer_text(c, statuses[verdict], "range not satisfiable\n", "Content-Range",
		                   range);
	}
	if (verdict == VERDICT_NOT_MODIFIED)
		response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	else
		response = response_for(request, file, &part, &err);
	if (!response)
		return answer_later(c, "the file is being repaired, try again\n");
	if (verdict == VERDICT_PART)
		(void)snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
		               part.first, part.first + part.length - 1, file->size);
	if (!add_file_headers(response, request, file, etag) ||
	    (verdict != VERDICT_NOT_MODIFIED &&
	     !add_header(response, "Content-Type", media_type_of(file->name))) ||
	    (*range && !add_header(response, "Content-Range", range)))
		return MHD_NO;
	return MHD_queue_response(c, statuses[verdict], response);
}

static enum MHD_Result answer_listing(struct request *request, const struct store_entry *folder)
{
	CLEANUP(buf_release) struct buf page = BUF_INIT(LISTING_MAX_BYTES);
	CLEANUP(cleanup_response) struct MHD_Response *response = NULL;
	struct err err;

	if (listing_html(&page, request->view, folder, request->target.path, &err))
		return answer_later(request->connection, "the listing can't be made now\n");
	response = MHD_create_response_from_buffer(page.size, page.data, MHD_RESPMEM_MUST_FREE);
	if (!response)
		return MHD_NO;
	page.data = NULL;
	if (!add_header(response, "Content-Type", "text/html; charset=utf-8") ||
	    !add_header(response, "X-Content-Type-Options", "nosniff") ||
	    !add_header(response, "Cache-Control", "no-cache"))
		return MHD_NO;
	return MHD_queue_response(request->connection, MHD_HTTP_OK, response);
}

/* A folder without its slash: relative links in it would go wrong (as nginx answers). */
static enum MHD_Result answer_redirect(struct request *request)
{
	CLEANUP(buf_release) struct buf location = BUF_INIT(4 * TARGET_MAX_BYTES);
	struct err err;

	if (buf_addf(&location, &err, "/") ||
	    target_encode(&location, request->target.path, &err) || buf_addf(&location, &err, "/"))
		return MHD_NO;
	return answer_text(request->connection, MHD_HTTP_MOVED_PERMANENTLY, "it is a folder\n",
	                   "Location", location.data);
}

static enum MHD_Result answer_path(struct request *request)
{
	const struct target *target = &request->target;
	const struct store_entry *entry = store_view_find(request->view, target->path,
	                                                  target->length);

	if (!store_view_release_count(request->view))
		return answer_later(request->connection, "nothing to serve yet\n");
	if (!entry || (!entry->is_folder && target->has_slash))
		return answer_text(request->connection, MHD_HTTP_NOT_FOUND, "not found\n", NULL,
		                   NULL);
	if (!entry->is_folder)
		return answer_file(request, entry);
	if (!target->has_slash)
		return answer_redirect(request);
	for (uint32_t i = 0; i < entry->child_count; i++) {
		const struct store_entry *child = store_view_child(request->view, entry, i);

		if (!child->is_folder && !strcmp(child->name, "index.html"))
			return answer_file(request, child);
	}
	return answer_listing(request, entry);
}

static enum MHD_Result answer(struct instance *instance, struct MHD_Connection *connection,
                              const char *url, const char *method)
{
	struct request request = { .instance = instance, .connection = connection };
	enum MHD_Result result;
	struct err err;

	request.is_head = !strcmp(method, MHD_HTTP_METHOD_HEAD);
	if (!strcmp(method, MHD_HTTP_METHOD_OPTIONS))
		return answer_text(connection, MHD_HTTP_OK, "", "Allow", allowed_methods);
	if (!request.is_head && strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed\n",
		                   "Allow", allowed_methods);
	if (target_parse(url, &request.target, &err))
		return err.kind == ERR_LIMIT ? answer_text(connection, MHD_HTTP_URI_TOO_LONG,
		                                           "URI too long\n", NULL, NULL)
		                             : answer_text(connection, MHD_HTTP_BAD_REQUEST,
		                                           "bad request\n", NULL, NULL);
	request.view = store_view_get(instance->http->store);
	result = answer_path(&request);
	store_view_put(request.view);
	return result;
}

static bool has_body(struct MHD_Connection *connection)
{
	const char *length = header(connection, "Content-Length");

	return header(connection, "Transfer-Encoding") || (length && strcmp(length, "0") != 0);
}

/*
 * libmicrohttpd calls once with the header read, and again for the answer. An
 * answer at the first call makes it close the connection, which is right only
 * for a request with a body that nobody will read.
 */
static enum MHD_Result handle(void *ctx, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request_ctx)
{
	struct instance *instance = ctx;

	(void)version;
	(void)upload;
	if (!*request_ctx) {
		*request_ctx = instance;
		instance->busy++;
		if (MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
		                              (unsigned)IDLE_SECONDS) != MHD_YES)
			return MHD_NO;
		if (has_body(connection))
			return answer_text(connection, MHD_HTTP_CONTENT_TOO_LARGE,
			                   "no request body is taken\n", NULL, NULL);
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	return answer(instance, connection, url, method);
}

static void completed(void *ctx, struct MHD_Connection *connection, void **request_ctx,
                      enum MHD_RequestTerminationCode code)
{
	struct instance *instance = ctx;

	(void)connection;
	(void)code;
	if (*request_ctx)
		instance->busy--;
	*request_ctx = NULL;
}

/* Paths are decoded by target_parse, which knows what to refuse. */
static size_t leave_escaped(void *ctx, struct MHD_Connection *connection, char *text)
{
	(void)ctx;
	(void)connection;
	return strlen(text);
}

/* ---- the backend of tls ---- */

static void *backend_open(void *ctx, unsigned index, struct err *err)
{
	struct instance *instance = calloc(1, sizeof(*instance));
	const union MHD_DaemonInfo *info;

	if (!instance) {
		(void)err_set_sys(err, ENOMEM, "HTTP worker %u", index);
		return NULL;
	}
	instance->http = ctx;
	instance->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, handle, instance,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)65536, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)HEAD_SECONDS, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_NOTIFY_COMPLETED, completed, instance, MHD_OPTION_UNESCAPE_CALLBACK,
		leave_escaped, NULL, MHD_OPTION_END);
	info = instance->daemon ? MHD_get_daemon_info(instance->daemon, MHD_DAEMON_INFO_EPOLL_FD)
	                        : NULL;
	if (!info) {
		if (instance->daemon)
			MHD_stop_daemon(instance->daemon);
		free(instance);
		(void)err_set(err, ERR_IO, "libmicrohttpd does not start for worker %u", index);
		return NULL;
	}
	instance->epoll_fd = info->epoll_fd;
	return instance;
}

static int backend_fd(void *ctx)
{
	return ((struct instance *)ctx)->epoll_fd;
}

static int backend_add(void *ctx, int fd)
{
	struct instance *instance = ctx;
	/* An AF_UNIX peer keeps libmicrohttpd from setting TCP options at each answer. */
	struct sockaddr peer = { .sa_family = AF_UNIX };

	return MHD_add_connection(instance->daemon, fd, &peer, sizeof(peer)) == MHD_YES ? 0 : -1;
}

static void backend_run(void *ctx)
{
	(void)MHD_run(((struct instance *)ctx)->daemon);
}

static int backend_timeout_ms(void *ctx)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(((struct instance *)ctx)->daemon, &ms) != MHD_YES)
		return -1;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

static unsigned backend_busy(void *ctx)
{
	return ((struct instance *)ctx)->busy;
}

static void backend_close(void *ctx)
{
	struct instance *instance = ctx;

	MHD_stop_daemon(instance->daemon);
	free(instance);
}

struct http *http_new(struct store *store, struct err *err)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http) {
		(void)err_set_sys(err, ENOMEM, "HTTP server");
		return NULL;
	}
	http->store = store;
	return http;
}

void http_free(struct http *http)
{
	free(http);
}

struct tls_backend http_backend(struct http *http)
{
	return (struct tls_backend){
		.open = backend_open,
		.fd = backend_fd,
		.add = backend_add,
		.run = backend_run,
		.timeout_ms = backend_timeout_ms,
		.busy = backend_busy,
		.close = backend_close,
		.ctx = http,
	};
}
