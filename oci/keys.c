/* Public keys; see keys.h and oci.h. */
#include "oci/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/cleanup.h"
#include "base/digest.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, ED25519_BYTES = 64 };

/* How keys of a kind sign: the hashes are tried in order. */
struct scheme {
	const char *kind;  /* for people */
	const char *group; /* of EC keys, as libcrypto names it; or NULL */
	int type;          /* EVP_PKEY_… */
	const char *hashes[2];
};

static const struct scheme schemes[] = {
	{ "ECDSA P-256", "prime256v1", EVP_PKEY_EC, { "SHA256", NULL } },
	{ "ECDSA P-384", "secp384r1", EVP_PKEY_EC, { "SHA256", "SHA384" } },
	{ "ECDSA P-521", "secp521r1", EVP_PKEY_EC, { "SHA256", "SHA512" } },
	{ "RSA", NULL, EVP_PKEY_RSA, { "SHA256", NULL } },
	{ "Ed25519", NULL, EVP_PKEY_ED25519, { NULL, NULL } },
};

struct key {
	EVP_PKEY *pkey;
	const struct scheme *scheme;
	struct digest fingerprint;
};

struct oci_keys {
	struct key at[OCI_KEYS_MAX];
	size_t count;
};

struct oci_keys *oci_keys_new(struct err *err)
{
	struct oci_keys *keys = calloc(1, sizeof(*keys));

	if (!keys)
		(void)err_set_sys(err, ENOMEM, "keys");
	return keys;
}

void oci_keys_free(struct oci_keys *keys)
{
	if (!keys)
		return;
	for (size_t i = 0; i < keys->count; i++)
		EVP_PKEY_free(keys->at[i].pkey);
	free(keys);
}

size_t oci_keys_count(const struct oci_keys *keys)
{
	return keys->count;
}

void oci_keys_describe(const struct oci_keys *keys, size_t number, struct oci_key_info *out_info)
{
	const struct key *key = &keys->at[number];

	if (key->scheme->type == EVP_PKEY_RSA)
		(void)snprintf(out_info->kind, sizeof(out_info->kind), "RSA %d",
		               EVP_PKEY_get_bits(key->pkey));
	else
		(void)snprintf(out_info->kind, sizeof(out_info->kind), "%s", key->scheme->kind);
	(void)digest_format(&key->fingerprint, out_info->fingerprint);
}

/* ---- reading ---- */

/* What PEM_read_bio gives. */
struct block {
	char *name, *header;
	unsigned char *data;
	long size;
};

static void block_release(struct block *block)
{
	OPENSSL_free(block->name);
	OPENSSL_free(block->header);
	/* Somebody may have given a private key. */
	OPENSSL_clear_free(block->data, (size_t)block->size);
}

static void release_pkey(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
}

static void release_bio(BIO **bio)
{
	BIO_free_all(*bio);
}

static const struct scheme *scheme_of(const EVP_PKEY *pkey)
{
	char group[40] = "";

	(void)EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL);
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (EVP_PKEY_get_base_id(pkey) == schemes[i].type &&
		    (!schemes[i].group || !strcmp(group, schemes[i].group)))
			return &schemes[i];
	return NULL;
}

static int fingerprint_of(const EVP_PKEY *pkey, struct digest *out_digest, struct err *err)
{
	unsigned char *der = NULL;
	int size = i2d_PUBKEY(pkey, &der);
	int failed;

	if (size <= 0)
		return err_set(err, ERR_IO, "libcrypto can't write the key");
	failed = digest_of(DIGEST_SHA256, der, (size_t)size, out_digest, err);
	OPENSSL_free(der);
	return failed;
}

static EVP_PKEY *parse(const struct block *block, struct err *err)
{
	const unsigned char *at = block->data;
	EVP_PKEY *pkey = NULL;

	if (strstr(block->name, "PRIVATE KEY")) {
		(void)err_set(err, ERR_CONFIG,
		              "it has a private key: give the public one alone (openssl pkey "
		              "-pubout, or cosign.pub), and keep that one away from here");
		return NULL;
	}
	if (!strcmp(block->name, "PUBLIC KEY"))
		pkey = d2i_PUBKEY(NULL, &at, block->size);
	else if (!strcmp(block->name, "RSA PUBLIC KEY"))
		pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, block->size);
	else
		(void)err_set(err, ERR_CONFIG, "it has a %.40s, and may have public keys alone",
		              block->name);
	if (!pkey && strstr(block->name, "PUBLIC KEY"))
		(void)err_set(err, ERR_CONFIG, "it has a public key that can't be read");
	return pkey;
}

static int add(struct oci_keys *keys, const struct block *block, struct err *err)
{
	CLEANUP(release_pkey) EVP_PKEY *pkey = parse(block, err);
	struct key key = { .pkey = pkey };
	int bits = pkey ? EVP_PKEY_get_bits(pkey) : 0;

	if (!pkey)
		return -1;
	key.scheme = scheme_of(pkey);
	if (!key.scheme)
		return err_set(err, ERR_CONFIG,
		               "it has a key of a kind that is not supported: ECDSA (P-256, P-384, "
		               "P-521), RSA and Ed25519 are");
	if (key.scheme->type == EVP_PKEY_RSA && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX))
		return err_set(err, ERR_CONFIG, "it has an RSA key of %d bits, not %d to %d", bits,
		               RSA_BITS_MIN, RSA_BITS_MAX);
	if (fingerprint_of(pkey, &key.fingerprint, err))
		return -1;
	for (size_t i = 0; i < keys->count; i++)
		if (digest_equal(&keys->at[i].fingerprint, &key.fingerprint))
			return 0;
	if (keys->count == OCI_KEYS_MAX)
		return err_set(err, ERR_CONFIG, "more than %d keys", OCI_KEYS_MAX);
	keys->at[keys->count++] = key;
	pkey = NULL;
	return 0;
}

static bool is_at_end(void)
{
	return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static int add_all(struct oci_keys *keys, BIO *bio, struct err *err)
{
	for (size_t count = 0;; count++) {
		CLEANUP(block_release) struct block block = { .name = NULL };

		ERR_clear_error();
		if (!PEM_read_bio(bio, &block.name, &block.header, &block.data, &block.size)) {
			if (!is_at_end())
				return err_set(err, ERR_CONFIG, "its PEM is broken");
			return count ? 0 : err_set(err, ERR_CONFIG, "it has no PEM block");
		}
		if (add(keys, &block, err))
			return -1;
	}
}

int oci_keys_add(struct oci_keys *keys, const char *pem, size_t size, const char *what,
                 struct err *err)
{
	CLEANUP(release_bio) BIO *bio = NULL;
	int failed;

	if (size > OCI_KEY_FILE_BYTES)
		return err_set(err, ERR_CONFIG, "%s has more than %d bytes", what,
		               OCI_KEY_FILE_BYTES);
	bio = BIO_new_mem_buf(pem, (int)size);
	if (!bio)
		return err_set_sys(err, ENOMEM, "%s", what);
	failed = add_all(keys, bio, err);
	ERR_clear_error();
	return failed ? err_context(err, "%s", what) : 0;
}

/* ---- verifying ---- */

static void release_context(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

static bool verify_with(const struct key *key, const char *hash, const void *message, size_t size,
                        const void *signature, size_t signature_size)
{
	CLEANUP(release_context) EVP_MD_CTX *context = EVP_MD_CTX_new();

	return context &&
	       EVP_DigestVerifyInit_ex(context, NULL, hash, NULL, NULL, key->pkey, NULL) == 1 &&
	       EVP_DigestVerify(context, signature, signature_size, message, size) == 1;
}

static bool verify(const struct key *key, const void *message, size_t size, const void *signature,
                   size_t signature_size)
{
	const char *const *hashes = key->scheme->hashes;

	return verify_with(key, hashes[0], message, size, signature, signature_size) ||
	       (hashes[1] && verify_with(key, hashes[1], message, size, signature, signature_size));
}

bool keys_verify(const struct oci_keys *keys, const void *message, size_t size,
                 const void *signature, size_t signature_size, size_t *out_key)
{
	bool verified = false;

	for (size_t i = 0; !verified && i < keys->count; i++) {
		verified = verify(&keys->at[i], message, size, signature, signature_size);
		if (verified)
			*out_key = i;
	}
	ERR_clear_error();
	return verified;
}

bool keys_might_prehash(const struct oci_keys *keys, size_t signature_size)
{
	for (size_t i = 0; i < keys->count; i++)
		if (keys->at[i].scheme->type == EVP_PKEY_ED25519)
			return signature_size == ED25519_BYTES;
	return false;
}
