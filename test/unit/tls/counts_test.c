/* What the server counts of its connections and handshakes. */
#include "harness.h"

/* Wait until a figure of the server has this value. */
#define WAIT_COUNT(field, value)                                                                   \
	do {                                                                                       \
		int64_t until_ = clock_now_ms() + DEADLINE_MS;                                     \
		struct tls_counters now_;                                                          \
                                                                                                   \
		for (tls_server_count(server, &now_); now_.field != (value);                       \
		     tls_server_count(server, &now_)) {                                            \
			if (clock_now_ms() > until_)                                               \
				fail_msg(#field " is %d", (int)now_.field);                        \
			(void)poll(NULL, 0, 2);                                                    \
		}                                                                                  \
	} while (0)

static struct client greet_with(int version, SSL_SESSION *session)
{
	struct client client = client_new(0);

	assert_int_equal(SSL_set_min_proto_version(client.ssl, version), 1);
	assert_int_equal(SSL_set_max_proto_version(client.ssl, version), 1);
	if (session)
		assert_int_equal(SSL_set_session(client.ssl, session), 1);
	assert_int_equal(SSL_connect(client.ssl), 1);
	say(&client, "hello");
	expect(&client, "hello");
	return client;
}

static void handshakes_by_version(void **state)
{
	struct client client;
	SSL_SESSION *session;

	(void)state;
	start(defaults());
	client = greet_with(TLS1_2_VERSION, NULL);
	WAIT_COUNT(handshakes[TLS_VERSION_12], 1);
	client_close(&client);
	client = greet_with(TLS1_3_VERSION, NULL);
	session = SSL_get1_session(client.ssl);
	WAIT_COUNT(handshakes[TLS_VERSION_13], 1);
	WAIT_COUNT(resumed[TLS_VERSION_13], 0);
	/* Without a good end OpenSSL resumes nothing. */
	assert_true(SSL_shutdown(client.ssl) >= 0);
	client_close(&client);
	client = greet_with(TLS1_3_VERSION, session);
	assert_true(SSL_session_reused(client.ssl));
	WAIT_COUNT(handshakes[TLS_VERSION_13], 2);
	WAIT_COUNT(resumed[TLS_VERSION_13], 1);
	WAIT_COUNT(resumed[TLS_VERSION_12], 0);
	WAIT_COUNT(open, 1);
	WAIT_COUNT(accepted, 3);
	WAIT_COUNT(written_bytes, 3 * strlen("hello"));
	client_close(&client);
	WAIT_COUNT(open, 0);
	wait_for(&closed, 3);
	SSL_SESSION_free(session);
}

static void handshakes_that_fail(void **state)
{
	struct tls_settings settings = defaults();
	struct client client;
	int fd;

	(void)state;
	settings.handshake_ms = 3000; /* also for the good one, on a busy machine */
	start(settings);
	fd = dial(0);
	assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
	WAIT_COUNT(failed[TLS_HANDSHAKE_FAILED], 1);
	assert_int_equal(close(fd), 0);
	fd = dial(0);
	assert_int_equal(close(fd), 0);
	WAIT_COUNT(failed[TLS_HANDSHAKE_GONE], 1);
	fd = dial(0);
	WAIT_COUNT(failed[TLS_HANDSHAKE_TIMEOUT], 1);
	assert_int_equal(close(fd), 0);
	/* One that was good, and ends, is none of these. */
	client = greet(0);
	say(&client, "a");
	expect(&client, "a");
	client_close(&client);
	WAIT_COUNT(open, 0);
	WAIT_COUNT(accepted, 4);
	WAIT_COUNT(failed[TLS_HANDSHAKE_FAILED], 1);
	WAIT_COUNT(failed[TLS_HANDSHAKE_GONE], 1);
	WAIT_COUNT(failed[TLS_HANDSHAKE_TIMEOUT], 1);
}

static void what_was_counted_outlives_the_workers(void **state)
{
	struct tls_settings settings = defaults();
	struct tls_counters last;
	struct client client;
	int fds[2];

	(void)state;
	settings.workers = 3;
	settings.max_connections = 2;
	start(settings);
	client = greet(0);
	say(&client, "a");
	expect(&client, "a");
	fds[0] = dial(0);
	WAIT_COUNT(open, 2);
	fds[1] = dial(0);
	WAIT_COUNT(refused[TLS_CAP_ALL], 1);
	WAIT_COUNT(refused[TLS_CAP_ADDRESS], 0);
	tls_server_stop(server, 0);
	tls_server_count(server, &last);
	assert_int_equal(last.accepted, 2);
	assert_int_equal(last.open, 0);
	assert_int_equal(last.handshakes[TLS_VERSION_13], 1);
	client_close(&client);
	assert_int_equal(close(fds[0]), 0);
	assert_int_equal(close(fds[1]), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(handshakes_by_version),
		TEST(handshakes_that_fail),
		TEST(what_was_counted_outlives_the_workers),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
