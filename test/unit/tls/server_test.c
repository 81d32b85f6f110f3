/*
 * The server over real TLS on loopback: bytes both ways, deadlines, caps,
 * handshakes, stopping. Waits are on events, each with a deadline.
 */
#include "harness.h"

#include <linux/filter.h>
#include <sys/syscall.h>

/* What accept4 is to fail with, once each, at the next connections; 0: it does not. */
static atomic_int accept_errors[4];

/* In place of libc's. An error of one connection takes that from the queue, as Linux does. */
int accept4(int fd, __SOCKADDR_ARG peer, socklen_t *length, int flags)
{
	int got = (int)syscall(SYS_accept4, fd, peer.__sockaddr__, length, flags);

	for (size_t i = 0; got >= 0 && i < sizeof(accept_errors) / sizeof(accept_errors[0]); i++) {
		int error = atomic_exchange(&accept_errors[i], 0);

		if (!error)
			continue;
		(void)close(got);
		errno = error;
		return -1;
	}
	return got;
}

/* Read to the end: how much came, and whether close_notify did. */
static size_t drain_client(struct client *client, bool *out_clean)
{
	static char bytes[65536];
	size_t total = 0;
	int n;

	ERR_clear_error();
	while ((n = SSL_read(client->ssl, bytes, sizeof(bytes))) > 0)
		total += (size_t)n;
	*out_clean = SSL_get_error(client->ssl, n) == SSL_ERROR_ZERO_RETURN;
	return total;
}

/* Wait for the peer's end of a plain socket, or for nothing at all: milliseconds that passed. */
static int64_t wait_readable(int fd, int limit_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int64_t from = clock_now_ms();

	(void)poll(&poll_fd, 1, limit_ms);
	return clock_now_ms() - from;
}

static void a_byte_comes_back(void **state)
{
	static const unsigned char offer[] = "\x02h2\x08http/1.1";
	const unsigned char *chosen;
	struct client client;
	unsigned length;

	(void)state;
	start(defaults());
	client = client_new(0);
	assert_int_equal(SSL_set_alpn_protos(client.ssl, offer, sizeof(offer) - 1), 0);
	assert_int_equal(SSL_connect(client.ssl), 1);
	SSL_get0_alpn_selected(client.ssl, &chosen, &length);
	assert_int_equal(length, 8);
	assert_memory_equal(chosen, "http/1.1", 8);
	assert_string_equal(SSL_get_version(client.ssl), "TLSv1.3");
	say(&client, "y");
	expect(&client, "y");
	client_close(&client);
	wait_for(&closed, 1);
}

/* Both ways at once, more than all buffers on the way hold. */
static void much_comes_back(void **state)
{
	const size_t total = 20 * (size_t)MIB;
	size_t sent = 0, got = 0;
	struct client client;
	unsigned char bytes[16384];

	(void)state;
	start(defaults());
	client = greet(16384);
	assert_int_equal(fcntl(client.fd, F_SETFL, O_NONBLOCK), 0);
	SSL_set_mode(client.ssl,
	             SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	while (got < total) {
		struct pollfd poll_fd = { .fd = client.fd, .events = POLLIN };
		int n;

		if (sent < total) {
			for (size_t i = 0; i < sizeof(bytes); i++)
				bytes[i] = (unsigned char)((sent + i) % 251);
			ERR_clear_error();
			n = SSL_write(client.ssl, bytes, sizeof(bytes));
			sent += n > 0 ? (size_t)n : 0;
			poll_fd.events |= POLLOUT;
		}
		assert_int_equal(poll(&poll_fd, 1, DEADLINE_MS), 1);
		for (int rounds = 0; rounds < 4; rounds++) {
			ERR_clear_error();
			n = SSL_read(client.ssl, bytes, sizeof(bytes));
			if (n <= 0) {
				assert_int_equal(SSL_get_error(client.ssl, n), SSL_ERROR_WANT_READ);
				break;
			}
			for (int i = 0; i < n; i++)
				if (bytes[i] != (got + (size_t)i) % 251)
					fail_msg("byte %zu is wrong", got + (size_t)i);
			got += (size_t)n;
		}
		/* The last block may run over total: what was sent is what comes back. */
		if (sent >= total && got == sent)
			break;
	}
	client_close(&client);
}

static void a_half_closed_client_gets_its_answer(void **state)
{
	struct client client;
	bool is_clean;

	(void)state;
	start(defaults());
	client = greet(0);
	say(&client, "B3000000\n");
	assert_int_equal(SSL_shutdown(client.ssl), 0);
	assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
	assert_int_equal(drain_client(&client, &is_clean), 3000000);
	assert_true(is_clean);
	client_close(&client);
	wait_for(&closed, 1);
}

static void deadlines_end_connections(void **state)
{
	struct tls_settings settings = defaults();
	struct client idle, stalled;
	bool is_clean;
	int silent;

	(void)state;
	/* Long enough for the two that do shake hands on a busy machine. */
	settings.handshake_ms = settings.idle_ms = settings.stall_ms = 2000;
	start(settings);
	silent = dial(0);
	assert_true(wait_readable(silent, DEADLINE_MS) < DEADLINE_MS);
	assert_int_equal(close(silent), 0);
	idle = greet(0);
	say(&idle, "a");
	expect(&idle, "a");
	assert_int_equal(drain_client(&idle, &is_clean), 0);
	client_close(&idle);
	stalled = greet(4096);
	say(&stalled, "B100000000\n");
	wait_for(&closed, 2);
	client_close(&stalled);
}

/* A byte now and then is no request: it has to be there as a whole after head_ms. */
static void a_request_has_to_come_in_time(void **state)
{
	struct tls_settings settings = defaults();
	struct client silent, slow, good;
	bool is_clean;
	int64_t from;

	(void)state;
	settings.head_ms = 3000;
	start(settings);
	from = clock_now_ms();
	silent = greet(0);
	slow = greet(0);
	good = greet(0);
	say(&slow, "s");
	expect(&slow, "s");
	/* Its request is answered: from then on it may be idle. */
	say(&good, "g");
	expect(&good, "g");
	while (SSL_write(slow.ssl, "Q", 1) == 1 && wait_readable(slow.fd, 100) >= 100)
		assert_true(clock_now_ms() - from < DEADLINE_MS);
	assert_true(clock_now_ms() - from >= 2900);
	assert_int_equal(drain_client(&silent, &is_clean), 0);
	wait_for(&closed, 2);
	say(&good, "h");
	expect(&good, "h");
	say(&good, "Q");
	assert_int_equal(drain_client(&good, &is_clean), 0);
	client_close(&silent);
	client_close(&slow);
	client_close(&good);
}

/* Whose request is whole waits for others: it is not the one who is slow. */
static void an_answer_may_take_its_time(void **state)
{
	struct tls_settings settings = defaults();
	struct client waits, slow;
	bool is_clean;

	(void)state;
	settings.head_ms = 300;
	start(settings);
	waits = greet(0);
	say(&waits, "W");
	wait_for(&heard, 1);
	slow = greet(0);
	say(&slow, "Q");
	assert_int_equal(drain_client(&slow, &is_clean), 0);
	wait_for(&closed, 1);
	say(&waits, "x");
	expect(&waits, "x");
	client_close(&waits);
	client_close(&slow);
}

/* A client that reads slowly takes what is owed to it: it is no stalled one. */
static void a_slow_reader_is_served(void **state)
{
	struct tls_settings settings = defaults();
	int64_t until = clock_now_ms() + 8000;
	struct client client;
	char bytes[8192];

	(void)state;
	settings.stall_ms = 3000;
	settings.idle_ms = 3000;
	start(settings);
	client = greet(65536);
	say(&client, "B60000000\n");
	while (clock_now_ms() < until) {
		assert_true(SSL_read(client.ssl, bytes, sizeof(bytes)) > 0);
		(void)poll(NULL, 0, 50);
	}
	assert_int_equal(atomic_load(&closed), 0);
	client_close(&client);
}

static void caps_turn_away(void **state)
{
	struct tls_settings settings = defaults();
	struct client first, second;
	int third;
	char byte;

	(void)state;
	settings.max_per_address = 2;
	start(settings);
	first = greet(0);
	second = greet(0);
	third = dial(0);
	assert_true(wait_readable(third, DEADLINE_MS) < DEADLINE_MS);
	assert_true(recv(third, &byte, 1, 0) <= 0);
	assert_int_equal(close(third), 0);
	wait_for(&refusals, 1);
	assert_non_null(strstr(told, "address"));
	say(&second, "z");
	expect(&second, "z");
	client_close(&first);
	wait_for(&closed, 1);
	/* The place is free once the server has seen the end. */
	for (int64_t until = clock_now_ms() + DEADLINE_MS;; client_close(&first)) {
		assert_true(clock_now_ms() < until);
		first = client_new(0);
		if (SSL_connect(first.ssl) == 1)
			break;
	}
	client_close(&first);
	client_close(&second);
}

/* Who comes next need not wait for the next tick; ten times four of these take 40 s. */
static void an_error_of_one_connection_is_no_others(void **state)
{
	static const int errors[] = { ECONNABORTED, EPROTO, EHOSTUNREACH, ENETDOWN };
	int gone[4];
	int64_t from, took = 0;

	(void)state;
	start(defaults());
	for (int i = 0; i < 10; i++) {
		struct client client;

		for (size_t k = 0; k < 4; k++)
			atomic_store(&accept_errors[k], errors[k]);
		for (size_t k = 0; k < 4; k++)
			gone[k] = dial(0);
		from = clock_now_ms();
		client = greet(0);
		took += clock_now_ms() - from;
		for (size_t k = 0; k < 4; k++) {
			assert_int_equal(atomic_load(&accept_errors[k]), 0);
			assert_int_equal(close(gone[k]), 0);
		}
		client_close(&client);
	}
	assert_true(took < DEADLINE_MS / 2);
}

static void bad_handshakes_are_told(void **state)
{
	static const unsigned char h2[] = "\x02h2";
	struct client client;
	int fd;

	(void)state;
	start(defaults());
	/* One that just leaves is nothing to tell. */
	fd = dial(0);
	assert_int_equal(close(fd), 0);

	client = client_new(0);
	SSL_set_security_level(client.ssl, 0);
	assert_int_equal(SSL_set_min_proto_version(client.ssl, TLS1_VERSION), 1);
	assert_int_equal(SSL_set_max_proto_version(client.ssl, TLS1_1_VERSION), 1);
	assert_int_not_equal(SSL_connect(client.ssl), 1);
	client_close(&client);
	wait_for(&failures, 1);
	assert_non_null(strstr(told, "protocol"));

	client = client_new(0);
	assert_int_equal(SSL_set_alpn_protos(client.ssl, h2, sizeof(h2) - 1), 0);
	assert_int_not_equal(SSL_connect(client.ssl), 1);
	client_close(&client);
	wait_for(&failures, 2);

	fd = dial(0);
	assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
	wait_for(&failures, 3);
	assert_non_null(strstr(told, "http request"));
	assert_int_equal(close(fd), 0);
	assert_int_equal(atomic_load(&failures), 3);
}

static int64_t cpu_ms(void)
{
	struct timespec used;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

static void stalled_clients_cost_nothing(void **state)
{
	struct client stalled, idle;
	int silent, started;
	int64_t used = 100;

	(void)state;
	start(defaults());
	silent = dial(0);
	started = dial(0);
	assert_int_equal(send(started, "\x16\x03\x01\x02", 4, MSG_NOSIGNAL), 4);
	idle = greet(0);
	stalled = greet(4096);
	say(&stalled, "B100000000\n");
	/* Until the buffers on the way are full, which takes what time a busy machine gives. */
	for (int tries = 0; tries < 20 && used >= 100; tries++) {
		int64_t from = cpu_ms();

		(void)poll(NULL, 0, 1000); /* the length of the measurement */
		used = cpu_ms() - from;
	}
	assert_true(used < 100);
	assert_int_equal(atomic_load(&closed), 0);
	assert_true(tls_server_is_turning(server, DEADLINE_MS));
	client_close(&stalled);
	client_close(&idle);
	assert_int_equal(close(silent), 0);
	assert_int_equal(close(started), 0);
}

static void *stop_in_thread(void *ctx)
{
	tls_server_stop(server, *(int *)ctx);
	return NULL;
}

static void stopping_finishes_answers(void **state)
{
	struct client idle, reader, other;
	int grace_ms = DEADLINE_MS;
	pthread_t thread;
	bool is_clean;
	size_t got;

	(void)state;
	start(defaults());
	idle = greet(0);
	say(&idle, "i");
	expect(&idle, "i");
	reader = greet(4096);
	say(&reader, "B8000000\n");
	other = greet(0);
	say(&other, "B2000000\n");
	assert_int_equal(SSL_read(reader.ssl, &(char){ 0 }, 1), 1);
	assert_int_equal(SSL_read(other.ssl, &(char){ 0 }, 1), 1);
	assert_int_equal(pthread_create(&thread, NULL, stop_in_thread, &grace_ms), 0);
	/* The idle one ends although another's answer is still under way. */
	assert_int_equal(drain_client(&idle, &is_clean), 0);
	assert_true(is_clean);
	got = drain_client(&other, &is_clean);
	assert_int_equal(got, 1999999);
	got = drain_client(&reader, &is_clean);
	assert_int_equal(got, 7999999);
	assert_true(is_clean);
	assert_int_equal(pthread_join(thread, NULL), 0);
	tls_server_free(STEAL(server));
	client_close(&idle);
	client_close(&reader);
	client_close(&other);
}

static atomic_bool has_stopped;

/* Until the connection is over; slowly until the server has stopped. */
static void *read_slowly(void *ctx)
{
	struct client *client = ctx;
	char bytes[4096];

	while (SSL_read(client->ssl, bytes, sizeof(bytes)) > 0)
		if (!atomic_load(&has_stopped))
			(void)poll(NULL, 0, 20);
	return NULL;
}

/* One that goes on taking what is owed to it would hold it up for minutes. */
static void stopping_keeps_to_its_grace(void **state)
{
	struct client slow;
	pthread_t thread;
	int64_t from;

	(void)state;
	start(defaults());
	slow = greet(4096);
	say(&slow, "B100000000\n");
	assert_int_equal(SSL_read(slow.ssl, &(char){ 0 }, 1), 1);
	assert_int_equal(pthread_create(&thread, NULL, read_slowly, &slow), 0);
	from = clock_now_ms();
	stop(300);
	assert_true(clock_now_ms() - from >= 250);
	assert_true(clock_now_ms() - from < DEADLINE_MS);
	atomic_store(&has_stopped, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	client_close(&slow);
}

/* One has room for more in the kernel's buffers than is left of its answer, one has not. */
static void stopping_waits_for_no_stalled_client(void **state)
{
	const int grace_ms = 60 * 1000;
	struct tls_settings settings = defaults();
	struct client much, little;
	int64_t from;

	(void)state;
	settings.stall_ms = settings.idle_ms = 2 * grace_ms;
	start(settings);
	much = greet(4096);
	little = greet(4096);
	say(&much, "B100000000\n");
	say(&little, "B16000\n");
	assert_int_equal(SSL_read(much.ssl, &(char){ 0 }, 1), 1);
	wait_for(&heard, 2);
	from = clock_now_ms();
	stop(grace_ms);
	assert_true(clock_now_ms() - from < grace_ms);
	client_close(&much);
	client_close(&little);
}

/* A client whose machine is gone confirms nothing: what is on its way to it holds nobody up. */
static void stopping_waits_for_no_vanished_client(void **state)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = { .len = 1, .filter = &drop };
	struct client gone;
	int64_t from;

	(void)state;
	start(defaults());
	gone = greet(0);
	say(&gone, "a");
	expect(&gone, "a");
	assert_int_equal(setsockopt(gone.fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)),
	                 0);
	say(&gone, "an answer that nobody takes");
	wait_for(&heard, 2);
	from = clock_now_ms();
	stop(2 * DEADLINE_MS);
	assert_true(clock_now_ms() - from < DEADLINE_MS);
	client_close(&gone);
}

static void workers_share_a_port(void **state)
{
	struct tls_settings settings = defaults();
	struct client clients[24];
	size_t i;

	(void)state;
	settings.workers = 2;
	start(settings);
	for (i = 0; i < 24; i++)
		clients[i] = greet(0);
	for (i = 0; i < 24; i++)
		say(&clients[i], "w");
	for (i = 0; i < 24; i++) {
		expect(&clients[i], "w");
		client_close(&clients[i]);
	}
	wait_for(&closed, 24);
	assert_true(tls_server_is_turning(server, DEADLINE_MS));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)
	static const struct CMUnitTest tests[] = {
		TEST(a_byte_comes_back),
		TEST(much_comes_back),
		TEST(a_half_closed_client_gets_its_answer),
		TEST(deadlines_end_connections),
		TEST(a_request_has_to_come_in_time),
		TEST(an_answer_may_take_its_time),
		TEST(a_slow_reader_is_served),
		TEST(caps_turn_away),
		TEST(an_error_of_one_connection_is_no_others),
		TEST(bad_handshakes_are_told),
		TEST(stalled_clients_cost_nothing),
		TEST(stopping_finishes_answers),
		TEST(stopping_keeps_to_its_grace),
		TEST(stopping_waits_for_no_stalled_client),
		TEST(stopping_waits_for_no_vanished_client),
		TEST(workers_share_a_port),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
