/* Content digests with libcrypto; see digest.h. */
#include "base/digest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/cleanup.h"

struct hasher {
	enum digest_algorithm algorithm;
	EVP_MD_CTX *context;
};

static const struct algorithm {
	const char *prefix;
	size_t size;
} algorithms[] = {
	[DIGEST_SHA256] = { "sha256:", 32 },
	[DIGEST_SHA512] = { "sha512:", 64 },
};

size_t digest_size(enum digest_algorithm algorithm)
{
	return algorithms[algorithm].size;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int parse_hex(const char *hex, size_t length, enum digest_algorithm algorithm,
                     struct digest *out_digest, struct err *err)
{
	struct digest digest = { .algorithm = algorithm };

	if (length != 2 * digest_size(algorithm))
		return err_set(err, ERR_FORMAT, "digest has %zu hex digits instead of %zu", length,
		               2 * digest_size(algorithm));
	for (size_t i = 0; i < length / 2; i++) {
		int high = hex_value(hex[2 * i]);
		int low = hex_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return err_set(err, ERR_FORMAT,
			               "digest has a character that is no hex digit");
		digest.bytes[i] = (unsigned char)(high << 4 | low);
	}
	*out_digest = digest;
	return 0;
}

int digest_parse(const char *text, struct digest *out_digest, struct err *err)
{
	for (enum digest_algorithm a = DIGEST_SHA256; a <= DIGEST_SHA512; a++) {
		size_t prefix = strlen(algorithms[a].prefix);

		if (!strncmp(text, algorithms[a].prefix, prefix))
			return parse_hex(text + prefix, strlen(text + prefix), a, out_digest, err);
	}
	return err_set(err, ERR_FORMAT, "digest \"%.80s\" is neither sha256 nor sha512", text);
}

int digest_parse_hex(const char *hex, size_t length, struct digest *out_digest, struct err *err)
{
	return parse_hex(hex, length, DIGEST_SHA256, out_digest, err);
}

char *digest_hex(const struct digest *digest, char text[static DIGEST_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	size_t size = digest_size(digest->algorithm);

	for (size_t i = 0; i < size; i++) {
		text[2 * i] = digits[digest->bytes[i] >> 4];
		text[2 * i + 1] = digits[digest->bytes[i] & 15];
	}
	text[2 * size] = '\0';
	return text;
}

char *digest_format(const struct digest *digest, char text[static DIGEST_TEXT_SIZE])
{
	char hex[DIGEST_TEXT_SIZE];

	(void)snprintf(text, DIGEST_TEXT_SIZE, "%s%.128s", algorithms[digest->algorithm].prefix,
	               digest_hex(digest, hex));
	return text;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return a->algorithm == b->algorithm &&
	       !memcmp(a->bytes, b->bytes, digest_size(a->algorithm));
}

DEFINE_CLEANUP(cleanup_hasher, struct hasher, hasher_free);

int digest_of(enum digest_algorithm algorithm, const void *bytes, size_t size,
              struct digest *out_digest, struct err *err)
{
	CLEANUP(cleanup_hasher) struct hasher *hasher = hasher_new(algorithm, err);

	if (!hasher || hasher_add(hasher, bytes, size, err))
		return -1;
	return hasher_end(hasher, out_digest, err);
}

static int start(struct hasher *hasher, struct err *err)
{
	const EVP_MD *md = hasher->algorithm == DIGEST_SHA256 ? EVP_sha256() : EVP_sha512();

	if (EVP_DigestInit_ex(hasher->context, md, NULL) != 1)
		return err_set(err, ERR_IO, "libcrypto can't start a %s digest",
		               algorithms[hasher->algorithm].prefix);
	return 0;
}

struct hasher *hasher_new(enum digest_algorithm algorithm, struct err *err)
{
	CLEANUP(cleanup_hasher) struct hasher *hasher = calloc(1, sizeof(*hasher));

	if (hasher)
		hasher->context = EVP_MD_CTX_new();
	if (!hasher || !hasher->context) {
		(void)err_set_sys(err, ENOMEM, "digest");
		return NULL;
	}
	hasher->algorithm = algorithm;
	if (start(hasher, err))
		return NULL;
	return STEAL(hasher);
}

void hasher_free(struct hasher *hasher)
{
	if (!hasher)
		return;
	EVP_MD_CTX_free(hasher->context);
	free(hasher);
}

int hasher_add(struct hasher *hasher, const void *bytes, size_t size, struct err *err)
{
	if (EVP_DigestUpdate(hasher->context, bytes, size) != 1)
		return err_set(err, ERR_IO, "libcrypto can't go on with a digest");
	return 0;
}

int hasher_end(struct hasher *hasher, struct digest *out_digest, struct err *err)
{
	struct digest digest = { .algorithm = hasher->algorithm };

	if (EVP_DigestFinal_ex(hasher->context, digest.bytes, NULL) != 1)
		return err_set(err, ERR_IO, "libcrypto can't end a digest");
	*out_digest = digest;
	/* NULL keeps the algorithm, which to look up takes longer than to hash a small file. */
	if (EVP_DigestInit_ex(hasher->context, NULL, NULL) != 1)
		return err_set(err, ERR_IO, "libcrypto can't start a digest");
	return 0;
}
