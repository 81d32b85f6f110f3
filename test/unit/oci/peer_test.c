/* What is written down of a server's certificate, which nobody has vouched for yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "oci/peer.h"

#define ZEROS "\0\0\0\0\0\0\0\0\0\0\0"

/* GeneralNames (RFC 5280, section 4.2.1.6) with addresses of 0, 3, 4, 5, 16 and 17 bytes. */
static const char names[] = "\x30\x49"                                /* a sequence of: */
			    "\x87\x00"                                /* an address of nothing, */
			    "\x87\x03\x0a\0\0"                        /* of too little, */
			    "\x87\x04\x0a\0\0\x01"                    /* 10.0.0.1, */
			    "\x87\x05\x0a\0\0\x02\0"                  /* of too much, */
			    "\x87\x10\x20\x01\x0d\xb8" ZEROS "\x01"   /* 2001:db8::1, */
			    "\x87\x11\x20\x01\x0d\xb8" ZEROS "\x02\0" /* of too much, */
			    "\x82\x05"
			    "a.bc\n" /* a name of two lines, */
			    "\x82\x07"
			    "a.b.tex"; /* a name */

static X509 *certificate_of(EVP_PKEY *key)
{
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *extension;

	assert_int_equal(names[1], sizeof(names) - 1 - 2);
	assert_true(ASN1_OCTET_STRING_set(value, (const unsigned char *)names, sizeof(names) - 1));
	extension = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, value);
	assert_non_null(extension);
	assert_true(X509_set_version(certificate, X509_VERSION_3));
	assert_true(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1));
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), -60));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
	assert_true(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	                                       (const unsigned char *)"Nobody\x1b[2J", -1, -1, 0));
	assert_true(X509_set_issuer_name(certificate, name));
	assert_true(X509_set_pubkey(certificate, key));
	assert_true(X509_add_ext(certificate, extension, -1));
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(value);
	return certificate;
}

static SSL_CTX *server_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = certificate_of(key);

	assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return context;
}

static SSL *end_of(SSL_CTX *context, BIO *bio)
{
	SSL *ssl = SSL_new(context);

	assert_non_null(ssl);
	SSL_set_bio(ssl, bio, bio);
	return ssl;
}

static void writes_down_what_can_be_a_name(void **state)
{
	SSL_CTX *server_side = server_context();
	SSL_CTX *client_side = SSL_CTX_new(TLS_client_method());
	struct peer peer = { .begun = false };
	BIO *a = NULL, *b = NULL;
	SSL *client, *server;

	(void)state;
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_CTX_set_verify(client_side, SSL_VERIFY_PEER, NULL);
	peer_watch(client_side, &peer);
	client = end_of(client_side, a);
	server = end_of(server_side, b);
	for (int i = 0; i < 10 && !peer.verdict; i++) {
		(void)SSL_connect(client);
		(void)SSL_accept(server);
	}
	assert_true(peer.begun);
	assert_int_equal(peer.verdict, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
	assert_string_equal(peer.names, "10.0.0.1, 2001:db8::1, a.b.tex");
	assert_string_equal(peer.issuer, "CN=Nobody\\1B[2J");
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(client_side);
	SSL_CTX_free(server_side);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_down_what_can_be_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
