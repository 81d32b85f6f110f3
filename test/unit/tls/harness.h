/*
 * For the server's tests: a backend on the streams, a server of one
 * setup, and a blocking TLS client. The backend echoes; "B<n>\n" at a
 * connection's start asks for n bytes instead, as a large answer. A single
 * "Q" is a request that is not whole yet: nothing comes back. Nor does of "W",
 * which is whole, and whose answer takes its time.
 */
#ifndef SPECMAN_TEST_TLS_HARNESS_H
#define SPECMAN_TEST_TLS_HARNESS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "tls/tls.h"

enum { DEADLINE_MS = 120000, MIB = 1024 * 1024, ENDS = 256 };

/* ---- backend ---- */

struct end {
	struct tls_stream *stream; /* NULL: free */
	bool has_started;
	bool is_done;
	size_t owed; /* of a large answer */
	size_t held; /* echo that was not taken yet */
	char bytes[65536];
};

struct instance {
	struct end ends[ENDS];
};

static atomic_int added, closed, heard;
static char filler[65536];

static void *backend_open(void *ctx, unsigned index, struct err *err)
{
	(void)ctx;
	(void)index;
	(void)err;
	return calloc(1, sizeof(struct instance));
}

static int backend_fd(void *ctx)
{
	(void)ctx;
	return -1;
}

static void *backend_add(void *ctx, struct tls_stream *stream, const struct sockaddr_storage *peer)
{
	struct instance *instance = ctx;

	(void)peer;
	for (size_t i = 0; i < ENDS; i++) {
		struct end *end = &instance->ends[i];

		if (end->stream)
			continue;
		end->stream = stream;
		end->has_started = end->is_done = false;
		end->owed = end->held = 0;
		atomic_fetch_add(&added, 1);
		return end;
	}
	return NULL;
}

static void end_close(struct end *end)
{
	end->stream = NULL;
	atomic_fetch_add(&closed, 1);
}

static void backend_ready(void *ctx, void *name, unsigned what)
{
	(void)ctx;
	if (what & TLS_GONE)
		end_close(name);
}

/* Write what is due; whether all of it went. */
static bool end_write(struct end *end)
{
	while (end->owed || end->held) {
		size_t size = end->held ? end->held : end->owed < 65536 ? end->owed : 65536;
		struct iovec part = { end->held ? end->bytes : filler, size };
		ssize_t n = tls_stream_write(end->stream, &part, 1);

		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0) {
			end->is_done = true;
			return true;
		}
		if (end->held) {
			end->held -= (size_t)n;
			memmove(end->bytes, end->bytes + n, end->held);
		} else {
			end->owed -= (size_t)n;
		}
	}
	return true;
}

static void end_run(struct end *end)
{
	while (end->stream) {
		ssize_t n;

		if (!end_write(end))
			return;
		n = end->is_done ? 0
		                 : tls_stream_read(end->stream, end->bytes, sizeof(end->bytes) - 1);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			tls_stream_close(end->stream);
			end_close(end);
			return;
		}
		end->bytes[n] = '\0';
		atomic_fetch_add(&heard, 1);
		if (!end->has_started && end->bytes[0] == 'B')
			end->owed = strtoul(end->bytes + 1, NULL, 10);
		else if (n == 1 && end->bytes[0] == 'W')
			tls_stream_heard(end->stream);
		else if (n != 1 || end->bytes[0] != 'Q')
			end->held = (size_t)n;
		end->has_started = true;
	}
}

static void backend_run(void *ctx)
{
	struct instance *instance = ctx;

	for (size_t i = 0; i < ENDS; i++)
		end_run(&instance->ends[i]);
}

static int backend_timeout(void *ctx)
{
	(void)ctx;
	return -1;
}

static unsigned backend_busy(void *ctx)
{
	struct instance *instance = ctx;
	unsigned busy = 0;

	for (size_t i = 0; i < ENDS; i++)
		busy += instance->ends[i].stream &&
		        (instance->ends[i].owed > 0 || instance->ends[i].held > 0);
	return busy;
}

static void backend_close(void *ctx)
{
	free(ctx);
}

/* ---- observer ---- */

static atomic_int failures, refusals;
static pthread_mutex_t told_mutex = PTHREAD_MUTEX_INITIALIZER;
static char told[256];

static void on_failed(void *ctx, const char *peer, const char *reason)
{
	(void)ctx;
	(void)pthread_mutex_lock(&told_mutex);
	(void)snprintf(told, sizeof(told), "%s %s", peer, reason);
	(void)pthread_mutex_unlock(&told_mutex);
	atomic_fetch_add(&failures, 1);
}

static void on_refused(void *ctx, const char *peer, const char *cap)
{
	(void)ctx;
	(void)peer;
	(void)pthread_mutex_lock(&told_mutex);
	(void)snprintf(told, sizeof(told), "%s", cap);
	(void)pthread_mutex_unlock(&told_mutex);
	atomic_fetch_add(&refusals, 1);
}

/* ---- server ---- */

static char dir[] = "/tmp/specman-srv-XXXXXX";
static struct tls_server *server;
static struct listen_address address;
static int fds_before;

static int count_fds(void)
{
	DIR *list = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(list))
		count++;
	(void)closedir(list);
	return count;
}

static struct tls_settings defaults(void)
{
	return (struct tls_settings){
		.state_dir = dir,
		.workers = 1,
		.max_connections = 200,
		.max_per_address = 200,
		.handshake_ms = DEADLINE_MS,
		.head_ms = DEADLINE_MS,
		.stall_ms = DEADLINE_MS,
		.idle_ms = DEADLINE_MS,
		.backend = { backend_open, backend_fd, backend_add, backend_ready, backend_run,
		             backend_timeout, backend_busy, NULL, backend_close, NULL },
		.observer = { on_failed, on_refused, NULL },
	};
}

static void start(struct tls_settings settings)
{
	struct listen_address any;
	struct err err = { .msg = "" };

	assert_int_equal(listen_parse("127.0.0.1:0", &any, &err), 0);
	settings.listen = &any;
	settings.listen_count = 1;
	server = tls_server_start(&settings, &err);
	if (!server)
		fail_msg("%s", err.msg);
	assert_int_equal(tls_server_address(server, 0, &address, &err), 0);
}

static void stop(int grace_ms)
{
	tls_server_stop(server, grace_ms);
	tls_server_free(STEAL(server));
}

static int make_dir(void **state)
{
	(void)state;
	memset(filler, 'x', sizeof(filler));
	/* OpenSSL opens what it needs for itself once. */
	SSL_CTX_free(SSL_CTX_new(TLS_client_method()));
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int drop_dir(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int before(void **state)
{
	(void)state;
	atomic_store(&added, 0);
	atomic_store(&closed, 0);
	atomic_store(&heard, 0);
	atomic_store(&failures, 0);
	atomic_store(&refusals, 0);
	told[0] = '\0';
	fds_before = count_fds();
	return 0;
}

static int after(void **state)
{
	(void)state;
	if (server)
		stop(0);
	if (count_fds() == fds_before && atomic_load(&added) == atomic_load(&closed))
		return 0;
	(void)fprintf(stderr, "descriptors: %d before, %d after; streams: %d made, %d closed\n",
	              fds_before, count_fds(), atomic_load(&added), atomic_load(&closed));
	return -1;
}

/* ---- client ---- */

struct client {
	SSL_CTX *context;
	SSL *ssl;
	int fd;
};

static void client_close(struct client *client)
{
	SSL_free(client->ssl);
	SSL_CTX_free(client->context);
	cleanup_fd(&client->fd);
	*client = (struct client){ .fd = -1 };
}

static int dial(int receive_buffer)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (receive_buffer)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer,
		                 sizeof(receive_buffer));
	assert_int_equal(connect(fd, (struct sockaddr *)&address.address, address.length), 0);
	return fd;
}

static struct client client_new(int receive_buffer)
{
	struct timeval limit = { .tv_sec = DEADLINE_MS / 1000 };
	struct client client = { .context = SSL_CTX_new(TLS_client_method()) };

	client.fd = dial(receive_buffer);
	(void)setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(client.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	client.ssl = SSL_new(client.context);
	assert_int_equal(SSL_set_fd(client.ssl, client.fd), 1);
	ERR_clear_error();
	return client;
}

static struct client greet(int receive_buffer)
{
	struct client client = client_new(receive_buffer);

	assert_int_equal(SSL_connect(client.ssl), 1);
	return client;
}

static void say(struct client *client, const char *text)
{
	assert_int_equal(SSL_write(client->ssl, text, (int)strlen(text)), (int)strlen(text));
}

static void expect(struct client *client, const char *text)
{
	char got[64] = "";
	size_t size = 0;

	while (size < strlen(text)) {
		int n = SSL_read(client->ssl, got + size, (int)(sizeof(got) - 1 - size));

		assert_true(n > 0);
		size += (size_t)n;
	}
	assert_string_equal(got, text);
}

static inline void wait_for(atomic_int *count, int value)
{
	int64_t until = clock_now_ms() + DEADLINE_MS;

	while (atomic_load(count) < value) {
		assert_true(clock_now_ms() < until);
		(void)poll(NULL, 0, 2);
	}
}

#endif
