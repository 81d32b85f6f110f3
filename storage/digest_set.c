/*
 * A set of digests: the keys side by side, without gaps, and a table of their
 * numbers by open addressing with linear probing, which may have gaps at a
 * tenth of the cost. A digest is its own hash.
 */
#include "digest_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FREE UINT32_MAX

void digest_set_release(struct digest_set *set)
{
	free(set->keys);
	free(set->table);
	*set = (struct digest_set){ .keys = NULL };
}

static size_t home_of(const struct digest_set *set, const unsigned char *key)
{
	uint64_t hash;

	memcpy(&hash, key, sizeof(hash));
	return (size_t)hash & (set->places - 1);
}

/* The place of a key, or the free one where it belongs. */
static size_t place_of(const struct digest_set *set, const unsigned char *key)
{
	size_t place = home_of(set, key);

	while (set->table[place] != FREE &&
	       memcmp(set->keys[set->table[place]], key, SET_KEY_BYTES) != 0)
		place = (place + 1) & (set->places - 1);
	return place;
}

static int full(const struct digest_set *set, struct err *err)
{
	return err_set_sys(err, ENOMEM, "set of %zu digests", set->count + 1);
}

static int grow_table(struct digest_set *set, struct err *err)
{
	const size_t places = set->places ? set->places * 2 : 64;
	uint32_t *table = malloc(places * sizeof(*table));

	if (!table)
		return full(set, err);
	memset(table, 0xff, places * sizeof(*table));
	free(set->table);
	set->table = table;
	set->places = places;
	for (size_t i = 0; i < set->count; i++)
		table[place_of(set, set->keys[i])] = (uint32_t)i;
	return 0;
}

static int grow_keys(struct digest_set *set, struct err *err)
{
	const size_t room = set->room + set->room / 2 + 32;
	unsigned char(*keys)[SET_KEY_BYTES] = realloc(set->keys, room * sizeof(*keys));

	if (!keys)
		return full(set, err);
	set->keys = keys;
	set->room = room;
	return 0;
}

int digest_set_add(struct digest_set *set, const struct digest *digest, struct err *err)
{
	size_t place;

	if (set->count * 4 >= set->places * 3 && grow_table(set, err))
		return -1;
	place = place_of(set, digest->bytes);
	if (set->table[place] != FREE)
		return 0;
	if (set->count == set->room && grow_keys(set, err))
		return -1;
	if (set->count == FREE)
		return full(set, err);
	memcpy(set->keys[set->count], digest->bytes, SET_KEY_BYTES);
	set->table[place] = (uint32_t)set->count++;
	return 0;
}

size_t digest_set_find(const struct digest_set *set, const struct digest *digest)
{
	const uint32_t number = set->count ? set->table[place_of(set, digest->bytes)] : FREE;

	return number == FREE ? SET_NOWHERE : number;
}

bool digest_set_has(const struct digest_set *set, const struct digest *digest)
{
	return digest_set_find(set, digest) != SET_NOWHERE;
}

struct digest digest_set_at(const struct digest_set *set, size_t number)
{
	struct digest digest = { .algorithm = DIGEST_SHA256 };

	memcpy(digest.bytes, set->keys[number], SET_KEY_BYTES);
	return digest;
}

/* Free a place, and place anew what may have been pushed on by it: what follows in the same run. */
static void free_place(struct digest_set *set, size_t place)
{
	set->table[place] = FREE;
	for (;;) {
		uint32_t number;

		place = (place + 1) & (set->places - 1);
		number = set->table[place];
		if (number == FREE)
			return;
		set->table[place] = FREE;
		set->table[place_of(set, set->keys[number])] = number;
	}
}

void digest_set_remove(struct digest_set *set, const struct digest *digest)
{
	size_t place, last;
	uint32_t number;

	if (!digest_set_has(set, digest))
		return;
	place = place_of(set, digest->bytes);
	number = set->table[place];
	free_place(set, place);
	/* The last key goes where the removed one was. */
	last = --set->count;
	if (number == last)
		return;
	place = place_of(set, set->keys[last]);
	memcpy(set->keys[number], set->keys[last], SET_KEY_BYTES);
	set->table[place] = number;
}

void digest_set_keep(struct digest_set *set, const struct digest_set *kept)
{
	size_t number = 0;

	/* A removal moves the last one to the number at hand: that is looked at again. */
	while (number < set->count) {
		const struct digest digest = digest_set_at(set, number);

		if (digest_set_has(kept, &digest))
			number++;
		else
			digest_set_remove(set, &digest);
	}
}
