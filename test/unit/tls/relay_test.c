/*
 * Relays: TLS messages that are none of the backend's, and that each want an
 * answer; and what a connection costs in calls and packets.
 */
#include "tls/counts.h" /* first: the harness has a global of a name in it */

#include "harness.h"

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tls/context.h"
#include "tls/relay.h"

enum {
	FLOOD_MAX = 4 * MIB, /* far more than all buffers on the way hold */
	TINY_BUFFER = 4096,
	FLOOD_BYTES = 128 * 1024,
	/* More than the kernel's buffers and what is read at first. */
	STOPPED_FLOOD_BYTES = 24 * MIB,
	TURNS = 50,
	RECORD = SSL3_RT_MAX_PLAIN_LENGTH,
};

/* Change keys, and ask the server to (RFC 8446, section 4.6.3); whether that could be sent. */
static bool ask_for_new_keys(struct client *client, int kind)
{
	ERR_clear_error();
	return SSL_key_update(client->ssl, kind) == 1 && SSL_do_handshake(client->ssl) == 1;
}

/* What it asks for is owed to it, and it takes none: it must not be asked for ever. */
static void a_client_that_takes_nothing_is_not_heard(void **state)
{
	const struct timeval pause = { .tv_sec = 1 };
	int size = TINY_BUFFER;
	struct client client;

	(void)state;
	start(defaults());
	client = greet(TINY_BUFFER);
	(void)setsockopt(client.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(client.fd, SOL_SOCKET, SO_SNDTIMEO, &pause, sizeof(pause));
	while (ask_for_new_keys(&client, SSL_KEY_UPDATE_REQUESTED))
		assert_true(BIO_number_written(SSL_get_wbio(client.ssl)) < FLOOD_MAX);
	client_close(&client);
}

struct flood {
	struct client client;
	BIO *bytes;
	atomic_int sent;
};

static void *send_flood(void *ctx)
{
	struct flood *flood = ctx;
	char *bytes;
	long size = BIO_get_mem_data(flood->bytes, &bytes);

	while (size > 0) {
		ssize_t n = send(flood->client.fd, bytes, (size_t)size, MSG_NOSIGNAL);

		if (n < 0)
			return NULL;
		bytes += n;
		size -= n;
		atomic_fetch_add(&flood->sent, (int)n);
	}
	return NULL;
}

/* Who has asked for nothing is not listened to when all ends, however much it sends. */
static void a_flood_holds_no_stop(void **state)
{
	struct flood flood = { .bytes = BIO_new(BIO_s_mem()) };
	int size = TINY_BUFFER;
	pthread_t thread;

	(void)state;
	start(defaults());
	flood.client = greet(0);
	say(&flood.client, "x");
	expect(&flood.client, "x");
	(void)setsockopt(flood.client.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	assert_int_equal(BIO_up_ref(flood.bytes), 1);
	SSL_set0_wbio(flood.client.ssl, flood.bytes);
	while (BIO_number_written(flood.bytes) < STOPPED_FLOOD_BYTES)
		assert_true(ask_for_new_keys(&flood.client, SSL_KEY_UPDATE_NOT_REQUESTED));
	assert_int_equal(pthread_create(&thread, NULL, send_flood, &flood), 0);
	wait_for(&flood.sent, MIB / 2);
	stop(DEADLINE_MS);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(atomic_load(&flood.sent) < STOPPED_FLOOD_BYTES);
	BIO_free(flood.bytes);
	client_close(&flood.client);
}

/* ---- a relay by itself, over a pair of sockets ---- */

static struct {
	int fd;     /* the relay's; what else calls is none of it */
	int sends;  /* packets, as far as the relay has a say: */
	int joined; /* sends that wait for the next */
	int recvs;
} calls = { .fd = -1 };

/* In front of libc's. */
ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
	if (fd == calls.fd) {
		calls.sends++;
		calls.joined += (flags & MSG_MORE) != 0;
	}
	return sendto(fd, bytes, size, flags, NULL, 0);
}

ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
	if (fd == calls.fd)
		calls.recvs++;
	return recvfrom(fd, bytes, size, flags, NULL, NULL);
}

struct solo {
	struct relay_host host;
	struct tls_counts counts;
	struct relay *relay;
	struct tls_stream *stream;
	struct client client;
	int fd; /* the relay's */
	int agains;
	int tickets;
};

static void *take_stream(void *ctx, struct tls_stream *stream, const struct sockaddr_storage *peer)
{
	struct solo *solo = ctx;

	(void)peer;
	solo->stream = stream;
	return solo;
}

static void ignore_ready(void *ctx, void *name, unsigned what)
{
	(void)ctx;
	(void)name;
	(void)what;
}

static void count_again(void *ctx, struct relay *relay)
{
	struct solo *solo = ctx;

	(void)relay;
	solo->agains++;
}

static SSL_CTX *server_context(void)
{
	char cert[96], key[96];
	const struct context_settings settings = { .cert_file = cert, .key_file = key };
	struct err err = { .msg = "" };
	SSL_CTX *context;

	free(tls_selfsigned_ca(dir, &err));
	(void)snprintf(cert, sizeof(cert), "%s/tls.crt", dir);
	(void)snprintf(key, sizeof(key), "%s/tls.key", dir);
	context = context_new(&settings, &err);
	if (!context)
		fail_msg("%s", err.msg);
	return context;
}

static int count_session(SSL *ssl, SSL_SESSION *session)
{
	struct solo *solo = SSL_get_app_data(ssl);

	(void)session;
	solo->tickets++;
	return 0;
}

/* Shake hands; what is said goes with the client's last flight. */
static void solo_open_saying(struct solo *solo, const char *text)
{
	const struct sockaddr_storage nobody = { .ss_family = AF_INET };
	SSL_CTX *context = server_context();
	int pair[2], size = MIB;
	struct err err;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
	                 0);
	(void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	*solo = (struct solo){ .fd = pair[0], .client = { .fd = pair[1] } };
	solo->host = (struct relay_host){ .attach = take_stream,
		                          .ready = ignore_ready,
		                          .again = count_again,
		                          .ctx = solo,
		                          .counts = &solo->counts,
		                          .method = wire_method_new(&err),
		                          .block = malloc(RELAY_BLOCK_BYTES),
		                          .records = calloc(1, sizeof(struct wire_block)) };
	solo->relay = relay_new_take(&solo->host, context, pair[0], &nobody, &err);
	assert_non_null(solo->relay);
	SSL_CTX_free(context);
	solo->client.context = SSL_CTX_new(TLS_client_method());
	solo->client.ssl = SSL_new(solo->client.context);
	assert_int_equal(SSL_set_fd(solo->client.ssl, pair[1]), 1);
	SSL_CTX_set_session_cache_mode(solo->client.context, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(solo->client.context, count_session);
	SSL_set_app_data(solo->client.ssl, solo);
	calls.fd = solo->fd;
	while (!solo->stream) {
		if (SSL_connect(solo->client.ssl) == 1 && *text)
			say(&solo->client, text);
		calls.sends = calls.joined = calls.recvs = 0;
		relay_note(solo->relay, EPOLLIN);
		assert_int_not_equal(relay_pump(solo->relay), RELAY_ENDED);
	}
}

static void solo_open(struct solo *solo)
{
	solo_open_saying(solo, "");
}

static void solo_close(struct solo *solo)
{
	calls.fd = -1;
	relay_free(solo->relay);
	BIO_meth_free((BIO_METHOD *)(uintptr_t)solo->host.method);
	free(solo->host.block);
	free(solo->host.records);
	client_close(&solo->client);
}

static int unread(const struct solo *solo)
{
	int bytes = -1;

	assert_int_equal(ioctl(solo->fd, FIONREAD, &bytes), 0);
	return bytes;
}

static void drop_answers(const struct solo *solo)
{
	char bytes[65536];

	while (recv(solo->client.fd, bytes, sizeof(bytes), 0) > 0) {
	}
}

/* However much lies there that is none of the backend's, one call reads a part of it. */
static void a_flood_is_read_in_turns(void **state)
{
	BIO *flood = BIO_new(BIO_s_mem());
	struct solo solo;
	char got[16], *bytes;
	long size;

	(void)state;
	solo_open(&solo);
	assert_int_equal(BIO_up_ref(flood), 1);
	SSL_set0_wbio(solo.client.ssl, flood);
	while (BIO_number_written(flood) < FLOOD_BYTES)
		assert_true(ask_for_new_keys(&solo.client, SSL_KEY_UPDATE_REQUESTED));
	say(&solo.client, "x");
	size = BIO_get_mem_data(flood, &bytes);
	assert_int_equal(send(solo.client.fd, bytes, (size_t)size, 0), size);
	BIO_free(flood);
	relay_note(solo.relay, EPOLLIN);
	solo.agains = 0;
	assert_int_equal(tls_stream_read(solo.stream, got, sizeof(got)), -1);
	assert_int_equal(errno, EAGAIN);
	assert_true(unread(&solo) > FLOOD_BYTES / 2);
	assert_true(solo.agains > 0);
	while (tls_stream_read(solo.stream, got, sizeof(got)) < 0) {
		assert_true(unread(&solo) > 0);
		drop_answers(&solo);
		relay_note(solo.relay, EPOLLOUT);
		assert_int_equal(relay_pump(solo.relay), RELAY_WAITS);
	}
	assert_int_equal(got[0], 'x');
	solo_close(&solo);
}

/* New keys as such are fine, and what is asked behind them is answered. */
static void new_keys_are_taken(void **state)
{
	struct client client;

	(void)state;
	start(defaults());
	client = greet(0);
	for (int i = 0; i < TURNS; i++) {
		assert_true(ask_for_new_keys(&client, SSL_KEY_UPDATE_REQUESTED));
		say(&client, "x");
		expect(&client, "x");
	}
	client_close(&client);
}

static void answer(const struct solo *solo, const char *text)
{
	const struct iovec part = { .iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text) };

	assert_int_equal(tls_stream_write(solo->stream, &part, 1), part.iov_len);
}

/* A ticket waits for the answer of a request that is there, and for no other. */
static void a_ticket_goes_with_the_answer(void **state)
{
	struct solo solo;
	char got[16];

	(void)state;
	solo_open(&solo);
	assert_int_equal(calls.sends, 1);
	assert_int_equal(calls.joined, 0);
	assert_int_equal(SSL_read(solo.client.ssl, got, sizeof(got)), -1);
	assert_int_equal(solo.tickets, 1);
	solo_close(&solo);

	solo_open_saying(&solo, "x");
	assert_int_equal(calls.recvs, 1);
	assert_int_equal(calls.sends, 1);
	assert_int_equal(calls.joined, 1);
	assert_int_equal(tls_stream_read(solo.stream, got, sizeof(got)), 1);
	answer(&solo, "y");
	assert_int_equal(calls.sends, 2);
	assert_int_equal(calls.joined, 1);
	expect(&solo.client, "y");
	assert_int_equal(solo.tickets, 1);
	solo_close(&solo);
}

/* close_notify goes with the end, and a socket that has nothing is not asked. */
static void an_end_is_one_packet(void **state)
{
	struct solo solo;
	char got[16];

	(void)state;
	solo_open_saying(&solo, "x");
	assert_int_equal(tls_stream_read(solo.stream, got, sizeof(got)), 1);
	answer(&solo, "y");
	calls.sends = calls.joined = calls.recvs = 0;
	tls_stream_end(solo.stream);
	assert_int_equal(relay_pump(solo.relay), RELAY_WAITS);
	assert_int_equal(calls.sends, 1);
	assert_int_equal(calls.joined, 1);
	assert_int_equal(calls.recvs, 0);
	expect(&solo.client, "y");
	assert_int_equal(SSL_read(solo.client.ssl, got, sizeof(got)), 0);
	assert_int_equal(SSL_get_error(solo.client.ssl, 0), SSL_ERROR_ZERO_RETURN);
	/* What still comes is thrown away, up to the client's end. */
	say(&solo.client, "z");
	relay_note(solo.relay, EPOLLIN);
	assert_int_equal(relay_pump(solo.relay), RELAY_WAITS);
	assert_int_equal(unread(&solo), 0);
	assert_int_equal(shutdown(solo.client.fd, SHUT_WR), 0);
	relay_note(solo.relay, EPOLLIN | EPOLLRDHUP | EPOLLHUP);
	assert_int_equal(relay_pump(solo.relay), RELAY_ENDED);
	solo_close(&solo);
}

/* ---- what is written in parts ---- */

static void must_read(const struct solo *solo, const unsigned char *bytes, size_t size)
{
	unsigned char got[4096];
	bool is_stuck = false;

	while (size) {
		int n = SSL_read(solo->client.ssl, got,
		                 (int)(size < sizeof(got) ? size : sizeof(got)));

		if (n <= 0) { /* the socket does not hold all of it at once */
			assert_false(is_stuck);
			is_stuck = true;
			relay_note(solo->relay, EPOLLOUT);
			assert_int_equal(relay_pump(solo->relay), RELAY_WAITS);
			continue;
		}
		is_stuck = false;
		assert_memory_equal(got, bytes, (size_t)n);
		bytes += (size_t)n;
		size -= (size_t)n;
	}
}

/* Write three parts of these sizes, none of them in its place; all must come, up to a limit. */
static void pass_parts(const struct solo *solo, const unsigned char *bytes, const size_t sizes[3])
{
	struct iovec parts[3];
	size_t whole = 0;
	ssize_t taken;

	for (int i = 0; i < 3; i++) {
		parts[i].iov_len = sizes[i];
		parts[i].iov_base = sizes[i] ? malloc(sizes[i]) : NULL;
		if (sizes[i])
			memcpy(parts[i].iov_base, bytes + whole, sizes[i]);
		whole += sizes[i];
	}
	taken = tls_stream_write(solo->stream, parts, 3);
	for (int i = 0; i < 3; i++)
		free(parts[i].iov_base);
	assert_int_equal(taken, whole < RELAY_BLOCK_BYTES ? whole : RELAY_BLOCK_BYTES);
	must_read(solo, bytes, (size_t)taken);
}

/* However the bounds of parts, of records and of what one call takes lie to each other. */
static void parts_are_one_text(void **state)
{
	static const size_t sizes[] = {
		0, 1, RECORD - 1, RECORD, RECORD + 1, RELAY_BLOCK_BYTES - 1, RELAY_BLOCK_BYTES + 1,
	};
	const size_t kinds = sizeof(sizes) / sizeof(sizes[0]), longest = RELAY_BLOCK_BYTES + 1;
	unsigned char *bytes = malloc(3 * longest);
	struct solo solo;

	(void)state;
	for (size_t i = 0; i < 3 * longest; i++)
		bytes[i] = (unsigned char)(i * 2654435761U >> 24);
	solo_open(&solo);
	for (size_t i = 0; i < kinds * kinds * kinds; i++)
		pass_parts(&solo, bytes,
		           (const size_t[]){ sizes[i % kinds], sizes[i / kinds % kinds],
		                             sizes[i / kinds / kinds] });
	solo_close(&solo);
	free(bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(new_keys_are_taken),
		TEST(a_client_that_takes_nothing_is_not_heard),
		TEST(a_flood_holds_no_stop),
		TEST(a_flood_is_read_in_turns),
		TEST(a_ticket_goes_with_the_answer),
		TEST(an_end_is_one_packet),
		TEST(parts_are_one_text),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
