/*
 * Relays: TLS messages that are none of the backend's, and that each want an
 * answer; and what a connection costs in calls and packets.
 */
#include "tls/counts.h" /* first: the harness has a global of a name in it */

#include "harness.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tls/context.h"
#include "tls/relay.h"

enum {
	FLOOD_MAX = 4 * MIB, /* far more than all buffers on the way hold */
	TINY_BUFFER = 4096,
	FLOOD_BYTES = 128 * 1024,
	TURNS = 50,
	RECORD = SSL3_RT_MAX_PLAIN_LENGTH,
	KEYS_MAX = 32, /* one behind the other */
};

/* Ask the server to change its keys (RFC 8446, section 4.6.3); whether that could be sent. */
static bool ask_for_new_keys(struct client *client)
{
	ERR_clear_error();
	return SSL_key_update(client->ssl, SSL_KEY_UPDATE_REQUESTED) == 1 &&
	       SSL_do_handshake(client->ssl) == 1;
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
	while (ask_for_new_keys(&client))
		assert_true(BIO_number_written(SSL_get_wbio(client.ssl)) < FLOOD_MAX);
	client_close(&client);
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

/* What the client says from here on, as bytes. */
static BIO *record(struct solo *solo)
{
	BIO *bytes = BIO_new(BIO_s_mem());

	assert_int_equal(BIO_up_ref(bytes), 1);
	SSL_set0_wbio(solo->client.ssl, bytes);
	return bytes;
}

static void send_recorded(struct solo *solo, BIO *recorded)
{
	char *bytes;
	long size = BIO_get_mem_data(recorded, &bytes);

	assert_int_equal(send(solo->client.fd, bytes, (size_t)size, 0), size);
	assert_int_equal(BIO_reset(recorded), 1);
	relay_note(solo->relay, EPOLLIN);
}

/* However much lies there that is none of the backend's, a part of it is read, and that is all. */
static void a_flood_ends_its_connection(void **state)
{
	struct solo solo;
	char got[16];
	BIO *flood;

	(void)state;
	solo_open(&solo);
	flood = record(&solo);
	while (BIO_number_written(flood) < FLOOD_BYTES)
		assert_true(ask_for_new_keys(&solo.client));
	say(&solo.client, "x");
	send_recorded(&solo, flood);
	BIO_free(flood);
	solo.agains = 0;
	assert_int_equal(tls_stream_read(solo.stream, got, sizeof(got)), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_true(unread(&solo) > FLOOD_BYTES / 2);
	assert_true(solo.agains > 0);
	assert_int_equal(relay_pump(solo.relay), RELAY_ENDED);
	solo_close(&solo);
}

/* As many as may come, again and again, with a byte for the backend in between. */
static void new_keys_may_be_many(void **state)
{
	struct solo solo;
	char got[16];
	BIO *bytes;

	(void)state;
	solo_open(&solo);
	bytes = record(&solo);
	for (int turn = 0; turn < 3; turn++) {
		for (int i = 0; i < KEYS_MAX; i++)
			assert_true(ask_for_new_keys(&solo.client));
		say(&solo.client, "x");
		send_recorded(&solo, bytes);
		assert_int_equal(tls_stream_read(solo.stream, got, sizeof(got)), 1);
		assert_int_equal(got[0], 'x');
		drop_answers(&solo);
	}
	/* One more, and what is behind it is not heard. */
	for (int i = 0; i <= KEYS_MAX; i++)
		assert_true(ask_for_new_keys(&solo.client));
	say(&solo.client, "x");
	send_recorded(&solo, bytes);
	BIO_free(bytes);
	assert_int_equal(tls_stream_read(solo.stream, got, sizeof(got)), -1);
	assert_int_equal(errno, ECONNRESET);
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
		assert_true(ask_for_new_keys(&client));
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
		TEST(a_flood_ends_its_connection),
		TEST(new_keys_may_be_many),
		TEST(a_ticket_goes_with_the_answer),
		TEST(an_end_is_one_packet),
		TEST(parts_are_one_text),
	};

	(void)signal(SIGPIPE, SIG_IGN); /* clients write until their connection is ended */
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
