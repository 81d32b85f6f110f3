/*
 * A set of digests by open addressing with linear probing. A digest is its own
 * hash; that a digest is all zero does not happen (it would be a break of
 * SHA-256), so that value marks a free place.
 */
#include "digest_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char unused[SET_KEY_BYTES];

void digest_set_release(struct digest_set *set)
{
	free(set->keys);
	*set = (struct digest_set){ .keys = NULL };
}

/* The place of a key, or the free one where it belongs. */
static size_t place_of(const struct digest_set *set, const unsigned char *key)
{
	uint64_t hash;
	size_t place;

	memcpy(&hash, key, sizeof(hash));
	place = (size_t)hash & (set->places - 1);
	while (memcmp(set->keys[place], unused, SET_KEY_BYTES) != 0 &&
	       memcmp(set->keys[place], key, SET_KEY_BYTES) != 0)
		place = (place + 1) & (set->places - 1);
	return place;
}

static int grow(struct digest_set *set, struct err *err)
{
	struct digest_set larger = { .places = set->places ? set->places * 2 : 64 };

	larger.keys = calloc(larger.places, SET_KEY_BYTES);
	if (!larger.keys)
		return err_set_sys(err, ENOMEM, "set of %zu digests", larger.places);
	for (size_t i = 0; i < set->places; i++)
		if (memcmp(set->keys[i], unused, SET_KEY_BYTES) != 0)
			memcpy(larger.keys[place_of(&larger, set->keys[i])], set->keys[i],
			       SET_KEY_BYTES);
	larger.count = set->count;
	digest_set_release(set);
	*set = larger;
	return 0;
}

int digest_set_add(struct digest_set *set, const struct digest *digest, struct err *err)
{
	size_t place;

	if (set->count * 2 >= set->places && grow(set, err))
		return -1;
	place = place_of(set, digest->bytes);
	if (!memcmp(set->keys[place], unused, SET_KEY_BYTES)) {
		memcpy(set->keys[place], digest->bytes, SET_KEY_BYTES);
		set->count++;
	}
	return 0;
}

size_t digest_set_find(const struct digest_set *set, const struct digest *digest)
{
	size_t place = set->count ? place_of(set, digest->bytes) : SET_NOWHERE;

	return set->count && memcmp(set->keys[place], unused, SET_KEY_BYTES) != 0 ? place
	                                                                          : SET_NOWHERE;
}

bool digest_set_has(const struct digest_set *set, const struct digest *digest)
{
	return digest_set_find(set, digest) != SET_NOWHERE;
}

bool digest_set_at(const struct digest_set *set, size_t place, struct digest *out_digest)
{
	if (!memcmp(set->keys[place], unused, SET_KEY_BYTES))
		return false;
	*out_digest = (struct digest){ .algorithm = DIGEST_SHA256 };
	memcpy(out_digest->bytes, set->keys[place], SET_KEY_BYTES);
	return true;
}

void digest_set_remove(struct digest_set *set, const struct digest *digest)
{
	unsigned char key[SET_KEY_BYTES];
	size_t place = digest_set_find(set, digest);

	if (place == SET_NOWHERE)
		return;
	memset(set->keys[place], 0, SET_KEY_BYTES);
	set->count--;
	/* What follows in the same run may have been pushed on by the removed key: place it anew.
	 */
	for (;;) {
		place = (place + 1) & (set->places - 1);
		if (!memcmp(set->keys[place], unused, SET_KEY_BYTES))
			return;
		memcpy(key, set->keys[place], SET_KEY_BYTES);
		memset(set->keys[place], 0, SET_KEY_BYTES);
		memcpy(set->keys[place_of(set, key)], key, SET_KEY_BYTES);
	}
}

void digest_set_keep(struct digest_set *set, const struct digest_set *kept)
{
	size_t place = 0;

	/* A removal moves later keys, at most into the place at hand: that is looked at again. */
	while (place < set->places) {
		struct digest digest;

		if (digest_set_at(set, place, &digest) && !digest_set_has(kept, &digest))
			digest_set_remove(set, &digest);
		else
			place++;
	}
}
