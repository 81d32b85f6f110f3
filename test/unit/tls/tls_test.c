/* Certificates and caps. The relay and the workers are tested from outside, over real TLS. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/cleanup.h"
#include "tls/caps.h"
#include "tls/context.h"
#include "tls/selfsigned.h"
#include "tls/tls.h"

static char dir[] = "/tmp/specman-tls-XXXXXX";
static char path_buffers[4][64];

static const char *in_dir(unsigned slot, const char *name)
{
	(void)snprintf(path_buffers[slot], sizeof(path_buffers[slot]), "%s/%s", dir, name);
	return path_buffers[slot];
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const names[] = { "ca.crt", "ca.key", "tls.crt", "tls.key", "lock" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(in_dir(0, names[i]));
	return rmdir(dir);
}

static X509 *read_cert(const char *name)
{
	FILE *file = fopen(in_dir(0, name), "r");
	X509 *cert;

	assert_non_null(file);
	cert = PEM_read_X509(file, NULL, NULL, NULL);
	assert_non_null(cert);
	fclose(file);
	return cert;
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(in_dir(0, name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static SSL_CTX *load(const char *cert, const char *key, struct err *err)
{
	const struct context_settings settings = { .cert_file = cert, .key_file = key };

	return context_new(&settings, err);
}

static void the_ca_vouches_for_the_names(void **state)
{
	static const char *const files[] = { "ca.crt", "ca.key", "tls.crt", "tls.key" };
	struct err err = { .msg = "" };
	char *first, *second;
	X509 *ca, *server;
	EVP_PKEY *key;
	SSL_CTX *context;
	struct stat st;

	(void)state;
	first = tls_selfsigned_ca(dir, &err);
	if (!first)
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(stat(in_dir(0, files[i]), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	ca = read_cert("ca.crt");
	server = read_cert("tls.crt");
	key = X509_get_pubkey(ca);
	assert_int_equal(X509_verify(server, key), 1);
	assert_int_equal(X509_check_host(server, "localhost", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(server, "specman-service.hubble-system.svc.cluster.local",
	                                 0, 0, NULL),
	                 1);
	assert_int_equal(X509_check_host(server, "specman-0.specman", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(server, "example.com", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(server, "::1", 0), 1);
	assert_int_equal(X509_check_ca(server), 0);
	EVP_PKEY_free(key);
	X509_free(server);
	X509_free(ca);
	context = load(in_dir(1, "tls.crt"), in_dir(2, "tls.key"), &err);
	assert_non_null(context);
	SSL_CTX_free(context);
	second = tls_selfsigned_ca(dir, &err);
	assert_string_equal(first, second);
	free(first);
	free(second);
}

static void a_half_written_pair_is_made_anew(void **state)
{
	X509 *before, *after;
	struct err err;

	(void)state;
	assert_int_equal(selfsigned_ensure(dir, &err), 0);
	before = read_cert("tls.crt");
	assert_int_equal(unlink(in_dir(0, "tls.key")), 0);
	assert_int_equal(selfsigned_ensure(dir, &err), 0);
	after = read_cert("tls.crt");
	assert_int_not_equal(X509_cmp(before, after), 0);
	X509_free(before);
	X509_free(after);
	write_file("tls.crt", "rubbish");
	assert_int_equal(selfsigned_ensure(dir, &err), 0);
	X509_free(read_cert("tls.crt"));
}

static void a_broken_ca_is_never_replaced(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(selfsigned_ensure(dir, &err), 0);
	write_file("ca.key", "rubbish");
	assert_int_equal(selfsigned_ensure(dir, &err), -1);
	assert_int_equal(err.kind, ERR_FORMAT);
	assert_int_equal(unlink(in_dir(0, "ca.key")), 0);
	assert_int_equal(selfsigned_ensure(dir, &err), -1);
}

static void bad_certificates_are_named(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(selfsigned_ensure(dir, &err), 0);
	assert_null(load("/nonexistent.crt", in_dir(1, "tls.key"), &err));
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "/nonexistent.crt"));
	assert_null(load(in_dir(1, "tls.crt"), in_dir(2, "ca.key"), &err));
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_int_equal(err.cause, TLS_CAUSE_OTHER_KEY);
	assert_non_null(strstr(err.msg, "ca.key"));
	write_file("lock", "rubbish");
	assert_null(load(in_dir(1, "lock"), in_dir(2, "tls.key"), &err));
	assert_int_equal(err.cause, TLS_CAUSE_CERTIFICATE);
	assert_non_null(strstr(err.msg, "lock"));
	assert_null(load(in_dir(1, "tls.crt"), in_dir(2, "lock"), &err));
	assert_int_equal(err.cause, TLS_CAUSE_KEY);
}

static void a_certificate_says_what_it_is(void **state)
{
	const char *cert = in_dir(1, "tls.crt"), *key = in_dir(2, "tls.key");
	struct tls_certificate certificate;
	struct err err;

	(void)state;
	assert_int_equal(selfsigned_ensure(dir, &err), 0);
	assert_int_equal(tls_certificate_read(cert, key, "specman-service", &certificate, &err), 0);
	assert_true(certificate.has_name);
	assert_true(certificate.not_before < time(NULL));
	assert_int_equal((certificate.not_after - certificate.not_before) / 86400, 398);
	assert_int_equal(tls_certificate_read(cert, key, "example.com", &certificate, &err), 0);
	assert_false(certificate.has_name);
}

static struct sockaddr_storage peer(const char *text)
{
	struct sockaddr_storage storage = { .ss_family = AF_INET };
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&storage;

	if (strchr(text, ':')) {
		storage.ss_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
	} else {
		assert_int_equal(
			inet_pton(AF_INET, text, &((struct sockaddr_in *)&storage)->sin_addr), 1);
	}
	return storage;
}

static void caps_count_addresses(void **state)
{
	static const char *const same[][2] = {
		{ "10.0.0.1", "::ffff:10.0.0.1" },
		{ "2001:db8::1", "2001:db8::ffff" },
	};
	static const char *const other[] = { "10.0.0.2", "2001:db8:0:1::1" };
	struct sockaddr_storage one;
	struct err err;
	struct caps *caps;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct sockaddr_storage a = peer(same[i][0]), b = peer(same[i][1]),
					c = peer(other[i]);

		caps = caps_new(3, 2, &err);
		assert_non_null(caps);
		assert_int_equal(caps_enter(caps, &a), TLS_CAPS);
		assert_int_equal(caps_enter(caps, &b), TLS_CAPS);
		assert_int_equal(caps_enter(caps, &a), TLS_CAP_ADDRESS);
		assert_int_equal(caps_enter(caps, &c), TLS_CAPS);
		assert_int_equal(caps_enter(caps, &c), TLS_CAP_ALL);
		caps_leave(caps, &b);
		assert_int_equal(caps_enter(caps, &a), TLS_CAPS);
		caps_free(caps);
	}
	/* Many addresses that come and go leave the table as it was. */
	caps = caps_new(1000, 1, &err);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 1000; i++) {
			one = (struct sockaddr_storage){ .ss_family = AF_INET };
			((struct sockaddr_in *)&one)->sin_addr.s_addr = htonl(i * 7919 + round);
			assert_int_equal(caps_enter(caps, &one), TLS_CAPS);
			assert_int_not_equal(caps_enter(caps, &one), TLS_CAPS);
		}
		for (unsigned i = 0; i < 1000; i++) {
			((struct sockaddr_in *)&one)->sin_addr.s_addr =
				htonl((i * 31 % 1000) * 7919 + round);
			caps_leave(caps, &one);
		}
	}
	caps_free(caps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_ca_vouches_for_the_names, setup, teardown),
		cmocka_unit_test_setup_teardown(a_half_written_pair_is_made_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(a_broken_ca_is_never_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_certificates_are_named, setup, teardown),
		cmocka_unit_test_setup_teardown(a_certificate_says_what_it_is, setup, teardown),
		cmocka_unit_test(caps_count_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
