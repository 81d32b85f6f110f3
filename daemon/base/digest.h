/*
 * Content digests as OCI names them: "sha256:<64 hex>" or "sha512:<128 hex>",
 * lower case (image-spec 1.1, descriptor.md, "Digests"). Other algorithms are
 * refused: a digest that nobody can check verifies nothing.
 */
#ifndef SPECMAN_BASE_DIGEST_H
#define SPECMAN_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum digest_algorithm { DIGEST_SHA256 = 1, DIGEST_SHA512 };

enum { DIGEST_MAX_BYTES = 64, DIGEST_TEXT_SIZE = 7 + 2 * DIGEST_MAX_BYTES + 1 };

struct digest {
	enum digest_algorithm algorithm;
	unsigned char bytes[DIGEST_MAX_BYTES]; /* unused ones are zero */
};

/* Bytes of a digest of this algorithm: 32 or 64. */
size_t digest_size(enum digest_algorithm algorithm);

/* Parse "algorithm:hex". ERR_FORMAT names what is wrong. */
MUST_CHECK int digest_parse(const char *text, struct digest *out_digest, struct err *err);

/* Parse 64 lower-case hex digits (no prefix) of a SHA-256. Exactly `length` characters are read. */
MUST_CHECK int digest_parse_hex(const char *hex, size_t length, struct digest *out_digest,
                                struct err *err);

/* Write "algorithm:hex" and return text. */
char *digest_format(const struct digest *digest, char text[static DIGEST_TEXT_SIZE]);

/* Write the hex digits alone and return text. */
char *digest_hex(const struct digest *digest, char text[static DIGEST_TEXT_SIZE]);

bool digest_equal(const struct digest *a, const struct digest *b);

/* Digest of bytes in memory. ERR_IO when libcrypto fails. */
MUST_CHECK int digest_of(enum digest_algorithm algorithm, const void *bytes, size_t size,
                         struct digest *out_digest, struct err *err);

/* Hashing as the bytes come by. */
struct hasher;

MUST_CHECK struct hasher *hasher_new(enum digest_algorithm algorithm, struct err *err);
void hasher_free(struct hasher *hasher);
MUST_CHECK int hasher_add(struct hasher *hasher, const void *bytes, size_t size, struct err *err);

/* Give the digest of all that was added, and make ready for the next content. */
MUST_CHECK int hasher_end(struct hasher *hasher, struct digest *out_digest, struct err *err);

#endif
