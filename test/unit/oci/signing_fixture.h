/* Keys and signatures that tests make for themselves, by libcrypto. */
#ifndef SPECMAN_TEST_SIGNING_FIXTURE_H
#define SPECMAN_TEST_SIGNING_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/cleanup.h"
#include "oci/base64.h"
#include "oci/oci.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static inline EVP_PKEY *make_key(const char *kind)
{
	if (!strcmp(kind, "RSA"))
		return EVP_RSA_gen(2048);
	if (!strcmp(kind, "small"))
		return EVP_RSA_gen(1024);
	if (!strcmp(kind, "ED25519"))
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	return EVP_EC_gen(kind);
}

static inline char *pem_of(EVP_PKEY *pkey)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long size;

	assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
	size = BIO_get_mem_data(bio, &data);
	text = strndup(data, (size_t)size);
	BIO_free(bio);
	return text;
}

static inline int add_key(struct oci_keys *keys, EVP_PKEY *pkey, struct err *err)
{
	CLEANUP(cleanup_free) char *pem = pem_of(pkey);

	return oci_keys_add(keys, pem, strlen(pem), "FILE", err);
}

/* Over what counts for the form, in base64. */
static inline void sign(EVP_PKEY *pkey, const char *hash, const char *message, size_t size,
                        struct buf *out)
{
	unsigned char value[1024];
	size_t length = sizeof(value);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	struct err err;

	assert_int_equal(EVP_DigestSignInit_ex(context, NULL, hash, NULL, NULL, pkey, NULL), 1);
	assert_int_equal(
		EVP_DigestSign(context, value, &length, (const unsigned char *)message, size), 1);
	EVP_MD_CTX_free(context);
	buf_clear(out);
	assert_int_equal(base64_encode(value, length, out, &err), 0);
}

#endif
