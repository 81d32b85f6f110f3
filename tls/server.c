/* The server: certificate, sockets, workers; see tls.h. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "caps.h"
#include "counts.h"
#include "credentials.h"
#include "tls.h"
#include "worker.h"

struct tls_server {
	struct tls_settings settings; /* a copy; its file names are not used after the start */
	struct credentials *credentials;
	struct caps *caps;
	struct worker **workers;
	unsigned worker_count;
	struct listen_address *bound; /* by listener */
};

/*
 * Bind alone first: SO_REUSEPORT would let a second daemon take a share of the
 * first one's connections. Says which port 0 became, too.
 */
static int claim(struct listen_address *address, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = listen_open(address, false, err);

	return fd < 0 ? -1 : listen_bound(fd, address, err);
}

/* One worker's sockets. */
static int *open_listeners(struct tls_server *server, struct err *err)
{
	size_t count = server->settings.listen_count;
	int *fds = malloc(count * sizeof(*fds));
	size_t opened = 0;
	int on = 1;

	if (!fds) {
		(void)err_set_sys(err, ENOMEM, "sockets");
		return NULL;
	}
	for (; opened < count; opened++) {
		fds[opened] = listen_open(&server->bound[opened], true, err);
		if (fds[opened] < 0)
			break;
		/*
		 * Answers leave in whole writes; Nagle's wait would only delay their
		 * tails. Connections have it of the listener.
		 */
		(void)setsockopt(fds[opened], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	if (opened == count)
		return fds;
	while (opened)
		(void)close(fds[--opened]);
	free(fds);
	return NULL;
}

static int open_workers(struct tls_server *server, struct err *err)
{
	for (size_t i = 0; i < server->settings.listen_count; i++)
		if (claim(&server->bound[i], err))
			return -1;
	for (unsigned i = 0; i < server->settings.workers; i++) {
		int *listeners = open_listeners(server, err);

		if (!listeners)
			return -1;
		server->workers[i] = worker_new_take(&server->settings, i, server->credentials,
		                                     server->caps, listeners,
		                                     server->settings.listen_count, err);
		if (!server->workers[i])
			return -1;
		server->worker_count++;
	}
	for (unsigned i = 0; i < server->worker_count; i++)
		if (worker_start(server->workers[i], err))
			return -1;
	return 0;
}

struct tls_server *tls_server_start(const struct tls_settings *settings, struct err *err)
{
	struct tls_server *server = calloc(1, sizeof(*server));

	if (!server) {
		(void)err_set_sys(err, ENOMEM, "server");
		return NULL;
	}
	server->settings = *settings;
	server->workers = calloc(settings->workers, sizeof(struct worker *));
	server->bound = calloc(settings->listen_count, sizeof(*server->bound));
	if (!server->workers || !server->bound) {
		(void)err_set_sys(err, ENOMEM, "server");
		free(server->workers);
		free(server->bound);
		free(server);
		return NULL;
	}
	for (size_t i = 0; i < settings->listen_count; i++)
		server->bound[i] = settings->listen[i];
	server->credentials = credentials_new(settings, err);
	if (!server->credentials)
		goto fail;
	server->caps = caps_new(settings->max_connections, settings->max_per_address, err);
	if (!server->caps || open_workers(server, err))
		goto fail;
	return server;
fail:
	tls_server_stop(server, 0);
	tls_server_free(server);
	return NULL;
}

int tls_server_address(const struct tls_server *server, size_t index,
                       struct listen_address *out_address, struct err *err)
{
	if (index >= server->settings.listen_count)
		return err_set(err, ERR_NOT_FOUND, "no listener %zu", index);
	*out_address = server->bound[index];
	return 0;
}

int tls_server_refresh(struct tls_server *server, bool at_once, struct err *err)
{
	return credentials_refresh(server->credentials, at_once, err);
}

int64_t tls_server_not_after(const struct tls_server *server)
{
	return credentials_not_after(server->credentials);
}

void tls_server_count(const struct tls_server *server, struct tls_counters *out_counters)
{
	*out_counters = (struct tls_counters){ .accepted = 0 };
	for (unsigned i = 0; i < server->worker_count; i++)
		counts_add(worker_counts(server->workers[i]), out_counters);
}

bool tls_server_is_turning(const struct tls_server *server, int64_t within_ms)
{
	int64_t now = clock_now_ms();

	for (unsigned i = 0; i < server->worker_count; i++)
		if (now - worker_turned_ms(server->workers[i]) > within_ms)
			return false;
	return true;
}

void tls_server_stop(struct tls_server *server, int grace_ms)
{
	if (!server)
		return;
	for (unsigned i = 0; i < server->worker_count; i++)
		worker_stop(server->workers[i], grace_ms);
	for (unsigned i = 0; i < server->worker_count; i++)
		worker_join(server->workers[i]);
}

void tls_server_free(struct tls_server *server)
{
	if (!server)
		return;
	for (unsigned i = 0; i < server->worker_count; i++)
		worker_free(server->workers[i]);
	caps_free(server->caps);
	credentials_free(server->credentials);
	free(server->bound);
	free(server->workers);
	free(server);
}
