/* Relays: TLS messages that are none of the backend's, and that each want an answer. */
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

struct solo {
	struct relay_host host;
	struct tls_counts counts;
	struct relay *relay;
	struct tls_stream *stream;
	struct client client;
	int fd; /* the relay's */
	int agains;
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

static void solo_open(struct solo *solo)
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
	while (!solo->stream || !SSL_is_init_finished(solo->client.ssl)) {
		(void)SSL_connect(solo->client.ssl);
		relay_note(solo->relay, EPOLLIN);
		assert_int_not_equal(relay_pump(solo->relay), RELAY_ENDED);
	}
}

static void solo_close(struct solo *solo)
{
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(new_keys_are_taken),
		TEST(a_client_that_takes_nothing_is_not_heard),
		TEST(a_flood_ends_its_connection),
		TEST(new_keys_may_be_many),
	};

	(void)signal(SIGPIPE, SIG_IGN); /* clients write until their connection is ended */
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
