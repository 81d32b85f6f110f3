/* Making signatures as cosign does; see signer.h. */
#include "oci/signer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/cleanup.h"
#include "oci/artifact.h"
#include "oci/base64.h"

/* Of an RSA key of 8192 bits. */
enum { VALUE_BYTES = 1024 };

struct oci_signer {
	EVP_PKEY *pkey;
	struct oci_keys *keys;
};

DEFINE_CLEANUP(cleanup_signer, struct oci_signer, oci_signer_free);

void oci_signer_free(struct oci_signer *signer)
{
	if (!signer)
		return;
	EVP_PKEY_free(signer->pkey);
	oci_keys_free(signer->keys);
	free(signer);
}

const struct oci_keys *signer_keys(const struct oci_signer *signer)
{
	return signer->keys;
}

void oci_signer_describe(const struct oci_signer *signer, struct oci_key_info *out_info)
{
	oci_keys_describe(signer->keys, 0, out_info);
}

static void release_bio(BIO **bio)
{
	BIO_free_all(*bio);
}

/* Nobody is asked for a password. */
static int no_password(char *out, int size, int for_writing, void *ctx)
{
	(void)out;
	(void)size;
	(void)for_writing;
	(void)ctx;
	return -1;
}

static EVP_PKEY *read_key(const char *pem, size_t size, struct err *err)
{
	CLEANUP(release_bio) BIO *bio = BIO_new_mem_buf(pem, (int)size);
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

	ERR_clear_error();
	if (!pkey && memmem(pem, size, "ENCRYPTED", 9))
		(void)err_set(err, ERR_CONFIG,
		              "the key is encrypted: give it without a password, or sign with "
		              "cosign");
	else if (!pkey)
		(void)err_set(err, ERR_CONFIG, "it has no key in PEM that can be read");
	return pkey;
}

/* The public half goes through the same checks as one that is trusted. */
static int take_public(struct oci_signer *signer, struct err *err)
{
	CLEANUP(release_bio) BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long size;

	if (!bio || PEM_write_bio_PUBKEY(bio, signer->pkey) != 1)
		return err_set(err, ERR_CONFIG, "libcrypto can't write the public half of the key");
	size = BIO_get_mem_data(bio, &pem);
	return oci_keys_add(signer->keys, pem, (size_t)size, "its public half", err);
}

struct oci_signer *oci_signer_new(const char *pem, size_t size, const char *what, struct err *err)
{
	CLEANUP(cleanup_signer) struct oci_signer *signer = calloc(1, sizeof(*signer));

	if (!signer) {
		(void)err_set_sys(err, ENOMEM, "%s", what);
		return NULL;
	}
	signer->keys = oci_keys_new(err);
	if (!signer->keys)
		return NULL;
	signer->pkey = read_key(pem, size, err);
	if (!signer->pkey || take_public(signer, err)) {
		(void)err_context(err, "%s", what);
		return NULL;
	}
	return STEAL(signer);
}

/* ---- what is pushed ---- */

static void release_context(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

/* In base64; SHA-256 whatever the key, but for Ed25519, which has a hash of its own. */
static int sign(const struct oci_signer *signer, const struct buf *message, struct buf *out,
                struct err *err)
{
	CLEANUP(release_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
	const char *hash = EVP_PKEY_get_base_id(signer->pkey) == EVP_PKEY_ED25519 ? NULL : "SHA256";
	unsigned char value[VALUE_BYTES];
	size_t size = sizeof(value);
	bool is_made = context &&
	               EVP_DigestSignInit_ex(context, NULL, hash, NULL, NULL, signer->pkey, NULL) ==
	                       1 &&
	               EVP_DigestSign(context, value, &size, (const unsigned char *)message->data,
	                              message->size) == 1;

	ERR_clear_error();
	if (!is_made)
		return err_set(err, ERR_IO, "libcrypto can't sign with the key");
	return base64_encode(value, size, out, err);
}

static int put_config(struct buf *config, const char *payload, struct err *err)
{
	return buf_addf(config, err,
	                "{\"architecture\":\"\",\"created\":\"0001-01-01T00:00:00Z\",\"history\":["
	                "{\"created\":\"0001-01-01T00:00:00Z\"}],\"os\":\"\",\"rootfs\":{\"type\":"
	                "\"layers\",\"diff_ids\":[\"%s\"]},\"config\":{}}",
	                payload);
}

int signer_make(const struct oci_signer *signer, const char *repository,
                const struct digest *manifest, const struct signer_parts *parts, struct err *err)
{
	CLEANUP(buf_release) struct buf value = BUF_INIT(2 * VALUE_BYTES);
	char text[DIGEST_TEXT_SIZE], payload[DIGEST_TEXT_SIZE], config[DIGEST_TEXT_SIZE];
	struct digest digest;

	if (buf_addf(parts->payload, err,
	             "{\"critical\":{\"identity\":{\"docker-reference\":\"%s\"},\"image\":{"
	             "\"docker-manifest-digest\":\"%s\"},\"type\":\"cosign container image "
	             "signature\"},\"optional\":null}",
	             repository, digest_format(manifest, text)) ||
	    sign(signer, parts->payload, &value, err) ||
	    digest_of(DIGEST_SHA256, parts->payload->data, parts->payload->size, &digest, err) ||
	    put_config(parts->config, digest_format(&digest, payload), err) ||
	    digest_of(DIGEST_SHA256, parts->config->data, parts->config->size, &digest, err))
		return -1;
	return buf_addf(parts->manifest, err,
	                "{\"schemaVersion\":2,\"mediaType\":\"" ARTIFACT_TYPE
	                "\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
	                "\"size\":%zu,\"digest\":\"%s\"},\"layers\":[{\"mediaType\":"
	                "\"application/vnd.dev.cosign.simplesigning.v1+json\",\"size\":%zu,"
	                "\"digest\":\"%s\",\"annotations\":{\"dev.cosignproject.cosign/signature\":"
	                "\"%s\"}}]}",
	                parts->config->size, digest_format(&digest, config), parts->payload->size,
	                payload, value.data);
}
