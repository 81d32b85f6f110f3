/* libmicrohttpd, a request's life, and who may ask; see http.h. */
#include "http.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "accept.h"
#include "access_log.h"
#include "http_request.h"
#include "listing.h"
#include "mhd_socket.h"

enum {
	CONNECTION_MEMORY = 32 * 1024, /* libmicrohttpd clears it after each answer */
	LOADS_MAX = 64,
};

static const char allowed_methods[] = "GET, HEAD, OPTIONS";

const struct sockaddr_storage *http_peer(const struct request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	return (const struct sockaddr_storage *)(const void *)info->client_addr;
}

int64_t http_now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int socket_of(const struct request *request)
{
	return MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD)
	        ->connect_fd;
}

void http_suspend(struct request *request)
{
	/* That the client was slow is not to be said of it while it waits for others. */
	sockets_heard(request->instance->sockets, socket_of(request));
	MHD_suspend_connection(request->connection);
}

/* In its mode without threads, libmicrohttpd 0.9.75 tells nobody of what was resumed. */
void http_resume(void *ctx)
{
	struct request *request = ctx;
	struct instance *instance = request->instance;
	uint64_t one = 1;

	MHD_resume_connection(request->connection);
	/* The request may be gone from here on. To write can only fail when it is readable
	 * already. The byte comes first: a run that took an earlier one leaves none behind then. */
	(void)!write(instance->wake, &one, sizeof(one));
	atomic_store(&instance->is_woken, true);
}

void http_replace_end(const struct request *request, const char *ending, const char *instead)
{
	sockets_replace_end(request->instance->sockets, socket_of(request), ending, instead);
}

/* ---- who may ask ---- */

static enum MHD_Result refuse(struct request *request, enum login_verdict verdict)
{
	struct http_counts *counts = request->instance->counts;

	switch (verdict) {
	case LOGIN_OFTEN:
		http_counts_login(counts, HTTP_LOGIN_OFTEN);
		return http_answer(request, MHD_HTTP_TOO_MANY_REQUESTS, "too many failures",
		                   "Retry-After", "1");
	case LOGIN_BUSY:
		http_counts_login(counts, HTTP_LOGIN_BUSY);
		return http_answer_later(request, "too many logins at once");
	default:
		http_counts_login(counts, request->head.authorization ? HTTP_LOGIN_WRONG
		                                                      : HTTP_LOGIN_MISSING);
		return http_answer(request, MHD_HTTP_UNAUTHORIZED, "name and password, please",
		                   "WWW-Authenticate",
		                   "Basic realm=\"specman\", charset=\"UTF-8\"");
	}
}

/* Whether the request may go on; if not, *out_result is what became of it. */
static bool is_allowed(struct request *request, enum MHD_Result *out_result)
{
	struct login *login = request->instance->http->login;
	enum login_verdict verdict;

	if (!login || request->may_ask)
		return true;
	if (request->attempt)
		verdict = login_try_verdict(request->attempt);
	else
		verdict = login_judge(login, request->head.authorization, http_peer(request),
		                      &request->attempt);
	if (verdict == LOGIN_TO_TRY) {
		http_suspend(request);
		login_try_start(request->attempt, http_resume, request);
		*out_result = MHD_YES;
		return false;
	}
	request->may_ask = verdict == LOGIN_YES;
	if (!request->may_ask)
		*out_result = refuse(request, verdict);
	return request->may_ask;
}

/* ---- answers ---- */

static enum MHD_Result answer_get(struct request *request)
{
	struct target target;
	struct store_view *view;
	enum MHD_Result result;
	struct err err;

	if (target_parse(request->target, &target, &err))
		return err.kind == ERR_LIMIT ? http_answer(request, MHD_HTTP_URI_TOO_LONG,
		                                           "URI too long", NULL, NULL)
		                             : http_answer(request, MHD_HTTP_BAD_REQUEST,
		                                           "bad request", "Connection", "close");
	view = store_view_get(request->instance->http->settings.store);
	request->view = store_view_release_count(view) ? view : NULL;
	if (!request->view)
		result = http_answer_later(request, "nothing to serve yet");
	else if (http_is_own(target.path))
		result = http_answer_own(request, view, &target);
	else
		result = http_answer_path(request, view, &target, target.path);
	request->view = NULL;
	store_view_put(view);
	return result;
}

static enum MHD_Result answer(struct request *request)
{
	enum MHD_Result result;

	if (!is_allowed(request, &result))
		return result;
	if (!strcmp(request->method, MHD_HTTP_METHOD_OPTIONS))
		return http_answer(request, MHD_HTTP_OK, "", "Allow", allowed_methods);
	if (!request->is_head && strcmp(request->method, MHD_HTTP_METHOD_GET) != 0)
		return http_answer(request, MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed",
		                   "Allow", allowed_methods);
	return answer_get(request);
}

/* What can't be read can't be followed by another request either. */
static enum MHD_Result refuse_head(struct request *request, enum head_verdict verdict)
{
	const char *sentence = verdict == HEAD_HAS_CONTENT       ? "no content is taken"
	                       : verdict == HEAD_TARGET_TOO_LONG ? "URI too long"
	                       : verdict == HEAD_TOO_LARGE       ? "request head too large"
	                       : verdict == HEAD_UNKNOWN_CODING  ? "unknown transfer coding"
	                                                         : "bad request";

	return http_answer(request, verdict, sentence, "Connection", "close");
}

/* ---- a request's life ---- */

/*
 * The first line is read: this becomes the request's context. The length that
 * is set goes before any that is still to come, which libmicrohttpd 0.9.75 so
 * does not look at: to one that is malformed it would send two heads. head_read
 * does.
 */
static void *begin_request(void *ctx, const char *target, struct MHD_Connection *connection)
{
	size_t length = target ? strlen(target) : 0;
	struct request *request = malloc(sizeof(*request) + length + 1);

	if (!request || MHD_set_connection_value(connection, MHD_HEADER_KIND,
	                                         MHD_HTTP_HEADER_CONTENT_LENGTH, "0") != MHD_YES) {
		free(request);
		return NULL;
	}
	memset(request, 0, sizeof(*request));
	request->instance = ctx;
	request->connection = connection;
	request->since_us = http_now_us();
	request->target_length = length;
	memcpy(request->target, target ? target : "", length + 1);
	return request;
}

static enum head_verdict read_head(struct request *request, const char *target, const char *version)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	const struct head_bytes bytes = {
		.bytes = request->method,
		.size = info->header_size,
		.target = target,
		.target_length = request->target_length,
		.version = version,
		/* But for the one of begin_request. */
		.fields = (size_t)MHD_get_connection_values(request->connection, MHD_HEADER_KIND,
		                                            NULL, NULL) -
		          1,
	};

	return head_read(&bytes, &request->head);
}

/* The head is read. */
static enum MHD_Result meet(struct request *request, const char *method, const char *target,
                            const char *version)
{
	enum head_verdict verdict;

	request->is_read = true;
	http_counts_began(request->instance->counts);
	request->method = method;
	request->is_head = !strcmp(method, MHD_HTTP_METHOD_HEAD);
	verdict = read_head(request, target, version);
	if (verdict != HEAD_FINE)
		return refuse_head(request, verdict);
	request->wants_json = request->head.accept.count && accept_json(request->head.accept.lines);
	return MHD_YES;
}

/*
 * libmicrohttpd calls once with the head read, and again for the answer: once
 * more each time that the request was suspended.
 */
static enum MHD_Result handle(void *ctx, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request_ctx)
{
	struct request *request = *request_ctx;

	(void)ctx;
	(void)connection;
	(void)upload;
	if (!request)
		return MHD_NO;
	if (!request->is_read)
		return meet(request, method, url, version);
	*upload_size = 0;
	/* It waited until the end: who may ask is not known any more, and nobody hears an answer.
	 */
	return atomic_load(&request->instance->http->has_ended) ? MHD_NO : answer(request);
}

static void completed(void *ctx, struct MHD_Connection *connection, void **request_ctx,
                      enum MHD_RequestTerminationCode code)
{
	struct request *request = *request_ctx;
	struct instance *instance = ctx;

	(void)connection;
	*request_ctx = NULL;
	if (!request)
		return;
	if (instance->http->settings.has_access_log)
		access_log_write(request, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	if (request->is_read)
		http_counts_ended(instance->counts, request->method, request->status,
		                  http_now_us() - request->since_us,
		                  code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	else
		http_counts_unread(instance->counts);
	login_try_free(request->attempt);
	http_loading_free(request->loading);
	listing_free(request->listing);
	free(request);
}

/* Paths are decoded by target_parse, which knows what to refuse. */
static size_t leave_escaped(void *ctx, struct MHD_Connection *connection, char *text)
{
	(void)ctx;
	(void)connection;
	return strlen(text);
}

/* ---- the backend of tls ---- */

static void instance_free(struct instance *instance)
{
	sockets_use(instance->sockets);
	if (instance->daemon)
		MHD_stop_daemon(instance->daemon);
	http_own_close(instance);
	sockets_use(NULL);
	sockets_free(instance->sockets);
	cleanup_fd(&instance->epoll);
	cleanup_fd(&instance->wake);
	free(instance);
}

DEFINE_CLEANUP(cleanup_instance, struct instance, instance_free);

static int watch(struct instance *instance, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(instance->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void *backend_open(void *ctx, unsigned index, struct err *err)
{
	CLEANUP(cleanup_instance) struct instance *instance = calloc(1, sizeof(*instance));
	const union MHD_DaemonInfo *info;

	if (!instance) {
		(void)err_set_sys(err, ENOMEM, "HTTP worker %u", index);
		return NULL;
	}
	instance->http = ctx;
	instance->counts = instance->http->counts[index];
	instance->epoll = epoll_create1(EPOLL_CLOEXEC);
	instance->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (instance->epoll < 0 || instance->wake < 0 || watch(instance, instance->wake)) {
		(void)err_set_sys(err, errno, "HTTP worker %u", index);
		return NULL;
	}
	instance->sockets = sockets_new(err);
	if (!instance->sockets)
		return NULL;
	sockets_use(instance->sockets);
	/* Lenient, for what it refuses it answers badly or not at all: head_read refuses more. */
	instance->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		handle, instance, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)65536, MHD_OPTION_STRICT_FOR_CLIENT, 0,
		MHD_OPTION_URI_LOG_CALLBACK, begin_request, instance, MHD_OPTION_NOTIFY_COMPLETED,
		completed, instance, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
		MHD_OPTION_END);
	sockets_use(NULL);
	info = instance->daemon ? MHD_get_daemon_info(instance->daemon, MHD_DAEMON_INFO_EPOLL_FD)
	                        : NULL;
	if (!info || watch(instance, info->epoll_fd)) {
		(void)err_set(err, ERR_IO, "libmicrohttpd does not start for worker %u", index);
		return NULL;
	}
	return STEAL(instance);
}

static int backend_fd(void *ctx)
{
	return ((struct instance *)ctx)->epoll;
}

static void *backend_add(void *ctx, struct tls_stream *stream, const struct sockaddr_storage *peer)
{
	struct instance *instance = ctx;
	int fd;

	sockets_use(instance->sockets);
	fd = sockets_add(instance->sockets, stream);
	if (fd < 0 || MHD_add_connection(instance->daemon, fd, (const struct sockaddr *)peer,
	                                 sizeof(*peer)) != MHD_YES)
		return NULL;
	return sockets_name(fd);
}

static void backend_ready(void *ctx, void *name, unsigned what)
{
	sockets_ready(((struct instance *)ctx)->sockets, name, what);
}

static void backend_run(void *ctx)
{
	struct instance *instance = ctx;
	uint64_t count;

	/* There may be nothing to read: an earlier run can have taken several. */
	if (atomic_exchange(&instance->is_woken, false))
		(void)!read(instance->wake, &count, sizeof(count));
	sockets_use(instance->sockets);
	(void)MHD_run(instance->daemon);
}

static int backend_timeout_ms(void *ctx)
{
	const struct instance *instance = ctx;
	MHD_UNSIGNED_LONG_LONG ms;

	if (sockets_have_news(instance->sockets))
		return 0;
	if (MHD_get_timeout(instance->daemon, &ms) != MHD_YES)
		return -1;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

static unsigned backend_busy(void *ctx)
{
	return http_counts_busy(((struct instance *)ctx)->counts);
}

static void backend_drain(void *ctx)
{
	((struct instance *)ctx)->is_ending = true;
}

/* No request may be left with a helper thread: libmicrohttpd can't end then. */
static void end_helpers(struct http *http)
{
	atomic_store(&http->has_ended, true);
	login_free(http->login);
	http->login = NULL;
	offload_free(http->loader);
	http->loader = NULL;
}

static void backend_close(void *ctx)
{
	struct instance *instance = ctx;

	/* The workers have ended, all of them. */
	end_helpers(instance->http);
	sockets_use(instance->sockets);
	(void)MHD_run(instance->daemon);
	instance_free(instance);
}

static int open_counts(struct http *http, unsigned workers, struct err *err)
{
	http->counts = calloc(workers, sizeof(struct http_counts *));
	if (!http->counts)
		return err_set_sys(err, ENOMEM, "HTTP server");
	for (; http->worker_count < workers; http->worker_count++) {
		http->counts[http->worker_count] = http_counts_new(err);
		if (!http->counts[http->worker_count])
			return -1;
	}
	return 0;
}

void http_count(const struct http *http, struct http_totals *out_totals)
{
	memset(out_totals, 0, sizeof(*out_totals));
	for (unsigned i = 0; i < http->worker_count; i++)
		http_counts_add(http->counts[i], out_totals);
}

struct http *http_new(const struct http_settings *settings, struct err *err)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http) {
		(void)err_set_sys(err, ENOMEM, "HTTP server");
		return NULL;
	}
	http->settings = *settings;
	if (!open_counts(http, settings->workers, err))
		http->loader = offload_new(LOADS_MAX, NULL, NULL, err);
	if (http->loader && settings->htpasswd)
		http->login = login_new(settings->htpasswd, settings->status, err);
	if (http->loader && (http->login || !settings->htpasswd))
		return http;
	http_free(http);
	return NULL;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	end_helpers(http);
	for (unsigned i = 0; i < http->worker_count; i++)
		http_counts_free(http->counts[i]);
	free(http->counts);
	free(http);
}

struct tls_backend http_backend(struct http *http)
{
	return (struct tls_backend){
		.open = backend_open,
		.fd = backend_fd,
		.add = backend_add,
		.ready = backend_ready,
		.run = backend_run,
		.timeout_ms = backend_timeout_ms,
		.busy = backend_busy,
		.drain = backend_drain,
		.close = backend_close,
		.ctx = http,
	};
}
