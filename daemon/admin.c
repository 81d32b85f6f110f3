/* Health; see admin.h. */
#include "admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/cleanup.h"

enum { LISTENERS_MAX = 8, IDLE_SECONDS = 15, CONNECTIONS_MAX = 64 };

struct admin {
	admin_check *is_live;
	admin_check *is_ready;
	void *ctx;
	struct MHD_Daemon *daemons[LISTENERS_MAX];
	struct listen_address bound[LISTENERS_MAX];
	size_t count;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_NO;

	if (!response)
		return MHD_NO;
	if (MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8") ==
	    MHD_YES)
		result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request_ctx)
{
	const struct admin *admin = ctx;
	const char *reason = "ok\n";
	admin_check *check;
	bool is_well;

	(void)version;
	(void)upload;
	(void)upload_size;
	if (!*request_ctx) {
		*request_ctx = ctx;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed\n");
	check = !strcmp(url, "/livez")    ? admin->is_live
	        : !strcmp(url, "/readyz") ? admin->is_ready
	                                  : NULL;
	if (!check)
		return answer(connection, MHD_HTTP_NOT_FOUND, "not found\n");
	is_well = check(admin->ctx, &reason);
	return answer(connection, is_well ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, reason);
}

static int add_listener(struct admin *admin, const struct listen_address *address, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = listen_open(address, false, err);
	struct MHD_Daemon *daemon;

	if (fd < 0 || listen_bound(fd, &admin->bound[admin->count], err))
		return -1;
	daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, handle, admin,
	                          MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
	                          (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
	                          (unsigned)IDLE_SECONDS, MHD_OPTION_END);
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
	admin->is_live = settings->is_live;
	admin->is_ready = settings->is_ready;
	admin->ctx = settings->ctx;
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
