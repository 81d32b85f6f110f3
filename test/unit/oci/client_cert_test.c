/* Which client certificates and keys can be used, and what is said of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/cleanup.h"
#include "oci/client_cert.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

DEFINE_CLEANUP(cleanup_bio, BIO, BIO_free_all);
DEFINE_CLEANUP(cleanup_key, EVP_PKEY, EVP_PKEY_free);
DEFINE_CLEANUP(cleanup_certificate, X509, X509_free);
DEFINE_CLEANUP(cleanup_client_cert, struct client_cert, client_cert_free);

enum { PEM_SIZE = 4096 };

struct pair {
	char cert[PEM_SIZE];
	char key[PEM_SIZE];
	char encrypted[PEM_SIZE];
};

static void read_out(BIO *bio, char out[static PEM_SIZE])
{
	int size = BIO_read(bio, out, PEM_SIZE - 1);

	assert_true(size > 0);
	out[size] = '\0';
}

static void make_pair(struct pair *pair)
{
	static unsigned char passphrase[] = "passphrase";
	CLEANUP(cleanup_key) EVP_PKEY *key = EVP_EC_gen("P-256");
	CLEANUP(cleanup_certificate) X509 *cert = X509_new();
	CLEANUP(cleanup_bio) BIO *bio = BIO_new(BIO_s_mem());

	assert_non_null(key);
	assert_non_null(bio);
	assert_true(X509_set_pubkey(cert, key));
	assert_true(X509_gmtime_adj(X509_getm_notBefore(cert), 0));
	assert_true(X509_gmtime_adj(X509_getm_notAfter(cert), 3600));
	assert_true(X509_sign(cert, key, EVP_sha256()));
	assert_true(PEM_write_bio_X509(bio, cert));
	read_out(bio, pair->cert);
	assert_true(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
	read_out(bio, pair->key);
	assert_true(PEM_write_bio_PrivateKey(bio, key, EVP_aes_256_cbc(), passphrase,
	                                     sizeof(passphrase) - 1, NULL, NULL));
	read_out(bio, pair->encrypted);
}

static void judges_pairs(void **state)
{
	struct pair one, other;
	const struct {
		const char *cert, *key, *says;
	} rows[] = {
		{ one.cert, one.key, NULL },
		{ other.cert, one.key, "don't belong together" },
		{ one.cert, one.encrypted, "key is encrypted" },
		{ one.cert, one.cert, "key is no PEM key" },
		{ one.cert, "", "key is no PEM key" },
		{ one.key, one.key, "no PEM certificate" },
		{ "", one.key, "no PEM certificate" },
		{ "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", one.key,
		  "no PEM certificate" },
		{ one.cert, NULL, "without its key" },
		{ NULL, one.key, "its key alone" },
	};

	(void)state;
	make_pair(&one);
	make_pair(&other);
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(cleanup_client_cert) struct client_cert *cert = NULL;
		struct err err;

		cert = client_cert_new(rows[i].cert, rows[i].key, &err);
		if (!rows[i].says) {
			assert_non_null(cert);
			continue;
		}
		assert_null(cert);
		assert_int_equal(err.kind, ERR_CONFIG);
		assert_non_null(strstr(err.msg, rows[i].says));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
