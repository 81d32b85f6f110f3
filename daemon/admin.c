/* The admin port; see admin.h. */
#include "admin.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

#include "base/cleanup.h"

enum {
	LISTENERS_MAX = 8,
	IDLE_SECONDS = 15,
	CONNECTIONS_MAX = 64,
	PER_ADDRESS_MAX = 32, /* of them, so that nobody alone keeps the kubelet's probes out */
	ANSWER_MAX = 16 * 1024 * 1024,
};

struct admin {
	const struct admin_route *routes;
	size_t route_count;
	struct MHD_Daemon *daemons[LISTENERS_MAX];
	struct listen_address bound[LISTENERS_MAX];
	size_t count;
};

/* One request: its body as it comes. */
struct incoming {
	struct buf body;
	bool is_too_large;
};

const char *admin_header(const struct admin_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

bool admin_has_argument(const struct admin_request *request, const char *name)
{
	return MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name,
	                                     strlen(name), NULL, NULL) == MHD_YES;
}

const char *admin_argument(const struct admin_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct admin_answer *answer,
                                   const char *allow)
{
	size_t size = answer->body.size;
	char *body = size ? buf_steal(&answer->body) : NULL;
	struct MHD_Response *response = MHD_create_response_from_buffer(
		size, body, body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result = MHD_NO;

	if (!response) {
		free(body);
		return MHD_NO;
	}
	if (MHD_add_response_header(response, "Content-Type", answer->type) == MHD_YES &&
	    MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES &&
	    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES &&
	    (!answer->challenge ||
	     MHD_add_response_header(response, "WWW-Authenticate", answer->challenge) == MHD_YES) &&
	    (!answer->policy || MHD_add_response_header(response, "Content-Security-Policy",
	                                                answer->policy) == MHD_YES) &&
	    (!allow || MHD_add_response_header(response, "Allow", allow) == MHD_YES))
		result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *text,
                              const char *allow)
{
	struct admin_answer answer = { .status = status,
		                       .type = "text/plain; charset=utf-8",
		                       .body = BUF_INIT(ANSWER_MAX) };
	struct err err;
	enum MHD_Result result = MHD_NO;

	if (!buf_addf(&answer.body, &err, "%s\n", text))
		result = send_answer(connection, &answer, allow);
	buf_release(&answer.body);
	return result;
}

static const struct admin_route *find(const struct admin *admin, const char *url)
{
	for (size_t i = 0; i < admin->route_count; i++)
		if (!strcmp(url, admin->routes[i].path))
			return &admin->routes[i];
	return NULL;
}

static enum MHD_Result respond(const struct admin_route *route, struct MHD_Connection *connection,
                               const struct incoming *incoming)
{
	const struct admin_request request = { .body = buf_text(&incoming->body),
		                               .body_size = incoming->body.size,
		                               .connection = connection };
	struct admin_answer answer = { .status = MHD_HTTP_OK,
		                       .type = "text/plain; charset=utf-8",
		                       .body = BUF_INIT(ANSWER_MAX) };
	enum MHD_Result result;

	route->answer(route->ctx, &request, &answer);
	result = send_answer(connection, &answer, NULL);
	buf_release(&answer.body);
	return result;
}

static bool is_allowed(const struct admin_route *route, const char *method)
{
	if (route->is_post)
		return !strcmp(method, MHD_HTTP_METHOD_POST);
	return !strcmp(method, MHD_HTTP_METHOD_GET) || !strcmp(method, MHD_HTTP_METHOD_HEAD);
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request_ctx)
{
	const struct admin *admin = ctx;
	const struct admin_route *route = find(admin, url);
	struct incoming *incoming = *request_ctx;
	struct err err;

	(void)version;
	if (!incoming) {
		*request_ctx = incoming = calloc(1, sizeof(*incoming));
		if (!incoming)
			return MHD_NO;
		incoming->body.max = ADMIN_BODY_MAX;
		return MHD_YES;
	}
	if (*upload_size) {
		/* What is too large is read to its end, unkept, for the answer to arrive. */
		incoming->is_too_large |= buf_add(&incoming->body, upload, *upload_size, &err) != 0;
		*upload_size = 0;
		return MHD_YES;
	}
	if (!route)
		return refuse(connection, MHD_HTTP_NOT_FOUND, "not found", NULL);
	if (!is_allowed(route, method))
		return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed",
		              route->is_post ? "POST" : "GET, HEAD");
	if (incoming->is_too_large)
		return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE, "too large", NULL);
	return respond(route, connection, incoming);
}

static void complete(void *ctx, struct MHD_Connection *connection, void **request_ctx,
                     enum MHD_RequestTerminationCode code)
{
	struct incoming *incoming = *request_ctx;

	(void)ctx;
	(void)connection;
	(void)code;
	if (incoming)
		buf_release(&incoming->body);
	free(incoming);
	*request_ctx = NULL;
}

static int add_listener(struct admin *admin, const struct listen_address *address, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = listen_open(address, false, err);
	struct MHD_Daemon *daemon;

	if (fd < 0 || listen_bound(fd, &admin->bound[admin->count], err))
		return -1;
	daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, handle, admin,
	                          MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
	                          (unsigned)CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
	                          (unsigned)PER_ADDRESS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
	                          (unsigned)IDLE_SECONDS, MHD_OPTION_NOTIFY_COMPLETED, complete,
	                          NULL, MHD_OPTION_END);
	if (!daemon)
		return err_set(err, ERR_IO, "libmicrohttpd does not start the admin port");
	(void)steal_fd(&fd);
	admin->daemons[admin->count++] = daemon;
	return 0;
}

struct admin *admin_start(const struct admin_settings *settings, struct err *err)
{
	struct admin *admin = calloc(1, sizeof(*admin));

	if (!admin) {
		(void)err_set_sys(err, ENOMEM, "admin port");
		return NULL;
	}
	admin->routes = settings->routes;
	admin->route_count = settings->route_count;
	for (size_t i = 0; i < settings->listen_count && i < LISTENERS_MAX; i++)
		if (add_listener(admin, &settings->listen[i], err)) {
			(void)err_context(err, "admin port");
			admin_stop(admin);
			return NULL;
		}
	return admin;
}

int admin_address(const struct admin *admin, size_t index, struct listen_address *out_address,
                  struct err *err)
{
	if (index >= admin->count)
		return err_set(err, ERR_NOT_FOUND, "no admin listener %zu", index);
	*out_address = admin->bound[index];
	return 0;
}

void admin_stop(struct admin *admin)
{
	if (!admin)
		return;
	while (admin->count)
		MHD_stop_daemon(admin->daemons[--admin->count]);
	free(admin);
}
