/* The hot cache: never over its limit, its content never another's, what is held never freed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "storage/cache.h"

enum { LIMIT = 1 << 20, OBJECTS = 2000, THREADS = 4, ROUNDS = 20000 };

static struct cache *new_cache(size_t limit)
{
	struct err err;
	struct cache *cache = cache_new(limit, &err);

	assert_non_null(cache);
	return cache;
}

/* Contents are made of the number that names them. */
static struct cache_key key_of(uint32_t number, uint32_t part)
{
	struct cache_key key = { .object = { .algorithm = DIGEST_SHA256 }, .part = part };

	/* Spread as those of a digest are, and never the same for two numbers. */
	for (size_t i = 0; i < 8; i++) {
		uint32_t word = (number + 1) * (2654435761U + (uint32_t)i * 2246822518U);

		memcpy(key.object.bytes + 4 * i, &word, sizeof(word));
	}
	return key;
}

static size_t size_of(uint32_t number, uint32_t part)
{
	return (number * 7919U + part * 104729U) % 5000;
}

static unsigned char byte_of(uint32_t number, uint32_t part)
{
	return (unsigned char)(number * 31 + part);
}

static struct cache_piece *load(struct cache *cache, uint32_t number, uint32_t part, size_t size)
{
	const struct cache_key key = key_of(number, part);
	struct err err;
	struct cache_piece *piece = cache_piece_new(&key, size, &err);

	assert_non_null(piece);
	memset(cache_piece_bytes(piece), byte_of(number, part), size);
	return cache_keep_take(cache, piece);
}

static struct cache_piece *get_or_load(struct cache *cache, uint32_t number, uint32_t part)
{
	const struct cache_key key = key_of(number, part);
	struct cache_piece *piece = cache_get(cache, &key);

	return piece ? piece : load(cache, number, part, size_of(number, part));
}

static bool is_right(struct cache_piece *piece, uint32_t number, uint32_t part)
{
	size_t size = size_of(number, part);
	const unsigned char *bytes = cache_piece_bytes(piece);

	if (cache_piece_size(piece) != size)
		return false;
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != byte_of(number, part))
			return false;
	return true;
}

static bool has(struct cache *cache, uint32_t number)
{
	const struct cache_key key = key_of(number, CACHE_WHOLE);
	struct cache_piece *piece = cache_get(cache, &key);

	cache_piece_put(piece);
	return piece != NULL;
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}

static void never_over_its_limit(void **state)
{
	struct cache *cache = new_cache(LIMIT);
	struct cache_piece *held[64] = { NULL };
	uint32_t numbers[64] = { 0 }, random = 1;
	struct cache_counters counters;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		uint32_t number = next_random(&random) % OBJECTS;
		size_t at = next_random(&random) % 64;

		cache_piece_put(held[at]);
		held[at] = get_or_load(cache, number, number % 3);
		numbers[at] = number;
		cache_count(cache, &counters);
		assert_true(counters.bytes <= LIMIT);
		assert_int_equal(counters.limit, LIMIT);
		at = next_random(&random) % 64;
		if (held[at])
			assert_true(is_right(held[at], numbers[at], numbers[at] % 3));
	}
	assert_true(counters.bytes > LIMIT * 9 / 10);
	assert_true(counters.evictions > 1000 && counters.hits > 1000);
	cache_free(cache);
	for (size_t at = 0; at < 64; at++) {
		assert_true(is_right(held[at], numbers[at], numbers[at] % 3));
		cache_piece_put(held[at]);
	}
}

static void a_walk_does_not_drive_out_what_is_hot(void **state)
{
	struct cache *cache = new_cache(LIMIT);
	unsigned kept = 0;

	(void)state;
	for (uint32_t round = 0; round < 4; round++)
		for (uint32_t hot = 0; hot < 50; hot++)
			if (!has(cache, hot))
				cache_piece_put(load(cache, hot, CACHE_WHOLE, 4096));
	for (uint32_t cold = 1000; cold < 11000; cold++)
		cache_piece_put(load(cache, cold, CACHE_WHOLE, 4096));
	for (uint32_t hot = 0; hot < 50; hot++)
		kept += has(cache, hot);
	assert_int_equal(kept, 50);
	cache_free(cache);
}

static void what_comes_back_is_kept_longer(void **state)
{
	struct cache *cache = new_cache(LIMIT);
	struct cache_counters counters = { .evictions = 0 };
	uint32_t cold = 1000;

	(void)state;
	for (uint32_t hot = 0; hot < 20; hot++)
		cache_piece_put(load(cache, hot, CACHE_WHOLE, 4096));
	while (counters.evictions < 20) {
		cache_piece_put(load(cache, cold++, CACHE_WHOLE, 4096));
		cache_count(cache, &counters);
	}
	assert_false(has(cache, 19));
	/* That it was there is known still: it comes into the main queue, which no walk touches. */
	cache_piece_put(load(cache, 19, CACHE_WHOLE, 4096));
	for (unsigned i = 0; i < 3000; i++)
		cache_piece_put(load(cache, cold++, CACHE_WHOLE, 4096));
	assert_true(has(cache, 19));
	cache_free(cache);
}

static void the_first_of_two_that_load_is_kept(void **state)
{
	struct cache *cache = new_cache(LIMIT);
	struct cache_piece *first = load(cache, 1, 0, 100);
	struct cache_piece *second = load(cache, 1, 0, 100);

	(void)state;
	assert_ptr_equal(first, second);
	cache_piece_put(first);
	cache_piece_put(second);
	cache_free(cache);
}

static void limits(void **state)
{
	static const size_t sizes[] = { 0, 1, 4096, 65536 };
	struct cache_counters counters;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct cache *cache = new_cache(sizes[i]);
		struct cache_piece *piece = load(cache, 7, 0, 65536);

		/* Too large to be kept, and still the caller's. */
		assert_int_equal(cache_piece_bytes(piece)[65535], byte_of(7, 0));
		assert_false(has(cache, 7));
		cache_piece_put(piece);
		cache_count(cache, &counters);
		assert_int_equal(counters.pieces, 0);
		cache_free(cache);
	}
}

struct crowd {
	struct cache *cache;
	atomic_uint seed;
	atomic_uint wrong;
};

static void *ask(void *ctx)
{
	struct crowd *crowd = ctx;
	uint32_t random = atomic_fetch_add(&crowd->seed, 77) + 1;
	struct cache_counters counters;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t number = next_random(&random) % (i % 2 ? 20 : OBJECTS);
		struct cache_piece *piece = get_or_load(crowd->cache, number, 0);

		if (!is_right(piece, number, 0))
			atomic_fetch_add(&crowd->wrong, 1);
		cache_piece_put(piece);
		cache_count(crowd->cache, &counters);
		if (counters.bytes > LIMIT)
			atomic_fetch_add(&crowd->wrong, 1);
	}
	return NULL;
}

static void many_threads(void **state)
{
	struct crowd crowd = { .cache = new_cache(LIMIT) };
	pthread_t threads[THREADS];
	struct cache_counters counters;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, &crowd), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(crowd.wrong, 0);
	cache_count(crowd.cache, &counters);
	assert_int_equal(counters.hits + counters.misses, THREADS * ROUNDS);
	cache_free(crowd.cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_over_its_limit),
		cmocka_unit_test(a_walk_does_not_drive_out_what_is_hot),
		cmocka_unit_test(what_comes_back_is_kept_longer),
		cmocka_unit_test(the_first_of_two_that_load_is_kept),
		cmocka_unit_test(limits),
		cmocka_unit_test(many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
