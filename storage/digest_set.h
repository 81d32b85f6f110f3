/* A set of SHA-256 digests: which objects are named, or damaged. */
#ifndef SPECMAN_STORAGE_DIGEST_SET_H
#define SPECMAN_STORAGE_DIGEST_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

enum { SET_KEY_BYTES = 32 };

#define SET_NOWHERE SIZE_MAX

/* Begins as all zero. A key costs some 40 bytes: there may be two million. */
struct digest_set {
	unsigned char (*keys)[SET_KEY_BYTES]; /* numbered from 0 to count - 1 */
	size_t count, room;
	uint32_t *table; /* their numbers, by open addressing */
	size_t places;   /* of the table: a power of two, or 0 */
};

void digest_set_release(struct digest_set *set);

/* ERR_IO without memory. Adding what is there is fine. */
MUST_CHECK int digest_set_add(struct digest_set *set, const struct digest *digest, struct err *err);
bool digest_set_has(const struct digest_set *set, const struct digest *digest);
/* Its number, until the set is changed; SET_NOWHERE when it is not there. */
size_t digest_set_find(const struct digest_set *set, const struct digest *digest);
/* The digest of a number. */
struct digest digest_set_at(const struct digest_set *set, size_t number);
/* Remove what is not in `kept`. */
void digest_set_keep(struct digest_set *set, const struct digest_set *kept);
void digest_set_remove(struct digest_set *set, const struct digest *digest);

#endif
