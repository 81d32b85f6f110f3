/*
 * Certificates that change while the server runs, and the keys of session
 * tickets. Client certificates are tested from outside (test/integration).
 */
#include "harness.h"

#include <sys/stat.h>

#include "tls/selfsigned.h"
#include "tls/tickets.h"

enum { SWAPS = 100, LOADERS = 3, RESUMPTIONS = 16 };

static char path_buffers[4][64];

static const char *in_dir(unsigned slot, const char *name)
{
	(void)snprintf(path_buffers[slot], sizeof(path_buffers[slot]), "%s/%s", dir, name);
	return path_buffers[slot];
}

static void make_pair(const char *name)
{
	struct err err;

	if (mkdir(in_dir(0, name), 0700) && errno != EEXIST)
		fail();
	assert_int_equal(selfsigned_ensure(in_dir(0, name), &err), 0);
}

/* Make dir/now lead to another folder, in one step, as the kubelet does. */
static void lead_to(const char *name)
{
	assert_int_equal(symlink(name, in_dir(0, "next")), 0);
	assert_int_equal(rename(in_dir(0, "next"), in_dir(1, "now")), 0);
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(in_dir(0, name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void start_linked(unsigned workers)
{
	struct tls_settings settings = defaults();

	make_pair("a");
	make_pair("b");
	lead_to("a");
	settings.workers = workers;
	settings.cert_file = in_dir(2, "now/tls.crt");
	settings.key_file = in_dir(3, "now/tls.key");
	start(settings);
}

/* Which of the folders the certificate that a new client sees is from: 'a' or 'b'. */
static char shown(void)
{
	struct client client = greet(0);
	X509 *got = SSL_get1_peer_certificate(client.ssl);
	char from = '?';

	for (char name = 'a'; name <= 'b'; name++) {
		SSL_CTX *context = SSL_CTX_new(TLS_server_method());
		char file[16];

		(void)snprintf(file, sizeof(file), "%c/tls.crt", name);
		assert_int_equal(
			SSL_CTX_use_certificate_file(context, in_dir(0, file), SSL_FILETYPE_PEM),
			1);
		if (!X509_cmp(SSL_CTX_get0_certificate(context), got))
			from = name;
		SSL_CTX_free(context);
	}
	X509_free(got);
	client_close(&client);
	return from;
}

static atomic_bool is_over;
static atomic_int served, lost;

/* One request on a new connection; no assertion, for it is another thread's. */
static bool ask(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	SSL *ssl = SSL_new(context);
	char byte = 'y';
	bool ok = !connect(fd, (struct sockaddr *)&address.address, address.length) &&
	          SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1 &&
	          SSL_write(ssl, &byte, 1) == 1 && SSL_read(ssl, &byte, 1) == 1;

	SSL_free(ssl);
	SSL_CTX_free(context);
	(void)close(fd);
	return ok;
}

static void *ask_on(void *ctx)
{
	(void)ctx;
	while (!atomic_load(&is_over))
		atomic_fetch_add(ask() ? &served : &lost, 1);
	return NULL;
}

static void swaps_under_load_lose_nothing(void **state)
{
	pthread_t threads[LOADERS];
	struct client old;
	struct err err = { .msg = "" };

	(void)state;
	start_linked(2);
	old = greet(0);
	assert_int_equal(shown(), 'a');
	for (size_t i = 0; i < LOADERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_on, NULL), 0);
	for (int i = 0; i < SWAPS; i++) {
		int before = atomic_load(&served);

		lead_to(i % 2 ? "a" : "b");
		if (tls_server_refresh(server, true, &err) != 1)
			fail_msg("swap %d: %s", i, err.msg);
		wait_for(&served, before + LOADERS);
	}
	atomic_store(&is_over, true);
	for (size_t i = 0; i < LOADERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&lost), 0);
	assert_int_equal(shown(), 'a');
	/* One that was there before all of it was not disturbed. */
	say(&old, "o");
	expect(&old, "o");
	client_close(&old);
}

static void a_change_is_taken_once_it_rests(void **state)
{
	struct err err;

	(void)state;
	start_linked(1);
	assert_int_equal(tls_server_refresh(server, false, &err), 0);
	lead_to("b");
	assert_int_equal(tls_server_refresh(server, false, &err), 0);
	assert_int_equal(shown(), 'a');
	assert_int_equal(tls_server_refresh(server, false, &err), 1);
	assert_int_equal(shown(), 'b');
	assert_int_equal(tls_server_refresh(server, false, &err), 0);
}

static void what_is_broken_is_refused(void **state)
{
	struct err err = { .msg = "" };

	(void)state;
	start_linked(1);
	make_pair("c");
	put("c/tls.key", "rubbish");
	lead_to("c");
	assert_int_equal(tls_server_refresh(server, false, &err), 0);
	assert_int_equal(tls_server_refresh(server, false, &err), -1);
	assert_int_equal(err.cause, TLS_CAUSE_KEY);
	assert_non_null(strstr(err.msg, "now/tls.key"));
	/* It is told once, not once a second. */
	assert_int_equal(tls_server_refresh(server, false, &err), 0);
	assert_int_equal(tls_server_refresh(server, true, &err), -1);
	assert_int_equal(shown(), 'a');
	lead_to("nowhere");
	assert_int_equal(tls_server_refresh(server, true, &err), -1);
	assert_int_equal(shown(), 'a');
	lead_to("b");
	assert_int_equal(tls_server_refresh(server, true, &err), 1);
	assert_int_equal(shown(), 'b');
}

static void own_certificates_are_renewed(void **state)
{
	struct tls_settings settings = defaults();
	struct err err = { .msg = "" };

	(void)state;
	assert_true(selfsigned_ends_soon(100, 100));
	assert_false(selfsigned_ends_soon((int64_t)200 * 86400, 100));
	make_pair("own");
	settings.state_dir = in_dir(2, "own");
	start(settings);
	assert_int_equal(tls_server_refresh(server, true, &err), 0);
	assert_true(tls_server_not_after(server) > time(NULL) + (int64_t)390 * 86400);
	assert_int_equal(unlink(in_dir(0, "own/tls.crt")), 0);
	if (tls_server_refresh(server, true, &err) != 1)
		fail_msg("%s", err.msg);
	assert_int_equal(access(in_dir(0, "own/tls.crt"), F_OK), 0);
	assert_int_equal(tls_server_refresh(server, true, &err), 0);
}

/* Whether a new connection resumes; the session becomes what the server gave last. */
static bool resumes(SSL_SESSION **session)
{
	struct client client = client_new(0);
	bool is_resumed;

	if (*session)
		assert_int_equal(SSL_set_session(client.ssl, *session), 1);
	assert_int_equal(SSL_connect(client.ssl), 1);
	say(&client, "r");
	expect(&client, "r"); /* tickets came before it */
	is_resumed = SSL_session_reused(client.ssl) == 1;
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(client.ssl);
	(void)SSL_shutdown(client.ssl); /* else it counts as broken */
	client_close(&client);
	return is_resumed;
}

static void tickets_are_for_all_workers_and_certificates(void **state)
{
	SSL_SESSION *session = NULL;
	struct err err;

	(void)state;
	start_linked(2);
	assert_false(resumes(&session));
	for (int i = 0; i < RESUMPTIONS; i++)
		assert_true(resumes(&session));
	lead_to("b");
	assert_int_equal(tls_server_refresh(server, true, &err), 1);
	assert_true(resumes(&session));
	SSL_SESSION_free(session);
}

static void shake(SSL *client, SSL *peer)
{
	for (int i = 0; i < 8; i++) {
		ERR_clear_error();
		(void)SSL_do_handshake(client);
		(void)SSL_do_handshake(peer);
	}
	/* TLS 1.3 gives its tickets after the handshake. */
	assert_int_equal(SSL_read(client, &(char){ 0 }, 1), -1);
	assert_true(SSL_is_init_finished(client) && SSL_is_init_finished(peer));
}

/* A handshake without a network: whether it resumed; the session is replaced by the new one. */
static bool shake_in_memory(SSL_CTX *context, SSL_SESSION **session)
{
	SSL_CTX *other = SSL_CTX_new(TLS_client_method());
	SSL *client = SSL_new(other), *peer = SSL_new(context);
	BIO *ends[2];
	bool is_resumed;

	assert_int_equal(BIO_new_bio_pair(&ends[0], 0, &ends[1], 0), 1);
	SSL_set_bio(client, ends[0], ends[0]);
	SSL_set_bio(peer, ends[1], ends[1]);
	SSL_set_connect_state(client);
	SSL_set_accept_state(peer);
	if (*session)
		assert_int_equal(SSL_set_session(client, *session), 1);
	shake(client, peer);
	is_resumed = SSL_session_reused(peer) == 1;
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(client);
	(void)SSL_shutdown(client); /* as above */
	(void)SSL_shutdown(peer);
	SSL_free(client);
	SSL_free(peer);
	SSL_CTX_free(other);
	return is_resumed;
}

/* Keys alone: a client resumes after one change of them, not after two. */
static void ticket_keys_change(void **state)
{
	enum { LIFE_MS = TICKET_SECONDS * 1000 };
	static const struct {
		int64_t at_ms[3]; /* of rotations; 0 ends */
		bool resumes;
	} cases[] = {
		{ { LIFE_MS - 1 }, true },
		{ { LIFE_MS }, true },
		{ { LIFE_MS, 2 * LIFE_MS }, false },
		{ { 2 * LIFE_MS }, false },
	};

	(void)state;
	make_pair("a");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
			struct err err;
			struct tickets *tickets = tickets_new(0, &err);
			SSL_CTX *context = SSL_CTX_new(TLS_server_method());
			SSL_SESSION *session = NULL;

			assert_non_null(tickets);
			assert_int_equal(SSL_CTX_use_certificate_file(
						 context, in_dir(0, "a/tls.crt"), SSL_FILETYPE_PEM),
			                 1);
			assert_int_equal(SSL_CTX_use_PrivateKey_file(
						 context, in_dir(0, "a/tls.key"), SSL_FILETYPE_PEM),
			                 1);
			assert_int_equal(SSL_CTX_set_max_proto_version(context, version), 1);
			assert_int_equal(tickets_use(tickets, context, &err), 0);
			assert_false(shake_in_memory(context, &session));
			for (size_t j = 0; j < 3 && cases[i].at_ms[j]; j++)
				assert_int_equal(tickets_rotate(tickets, cases[i].at_ms[j], &err),
				                 0);
			assert_int_equal(shake_in_memory(context, &session), cases[i].resumes);
			SSL_SESSION_free(session);
			SSL_CTX_free(context);
			tickets_free(tickets);
		}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)
	static const struct CMUnitTest tests[] = {
		TEST(swaps_under_load_lose_nothing),
		TEST(a_change_is_taken_once_it_rests),
		TEST(what_is_broken_is_refused),
		TEST(own_certificates_are_renewed),
		TEST(tickets_are_for_all_workers_and_certificates),
		TEST(ticket_keys_change),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
