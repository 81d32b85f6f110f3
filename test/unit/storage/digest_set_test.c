/* Sets of digests: the same as a plain list, at a bounded cost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "storage/digest_set.h"

/* Few bits decide the place, so that runs are long, wrap round and have gaps torn into them. */
static struct digest digest_number(unsigned number)
{
	struct digest digest = { .algorithm = DIGEST_SHA256 };

	digest.bytes[0] = (unsigned char)(number % 7 + 0x3c);
	digest.bytes[8] = (unsigned char)number;
	digest.bytes[9] = (unsigned char)(number >> 8);
	return digest;
}

static void add(struct digest_set *set, unsigned number)
{
	const struct digest digest = digest_number(number);
	struct err err;

	assert_int_equal(digest_set_add(set, &digest, &err), 0);
}

enum { NUMBERS = 300 };

static void assert_same(const struct digest_set *set, const bool has[static NUMBERS])
{
	bool met[NUMBERS] = { false };
	size_t count = 0;

	for (unsigned i = 0; i < NUMBERS; i++) {
		const struct digest digest = digest_number(i);

		count += has[i];
		assert_int_equal(digest_set_has(set, &digest), has[i]);
	}
	assert_int_equal(set->count, count);
	for (size_t i = 0; i < count; i++) {
		const struct digest digest = digest_set_at(set, i);
		unsigned number = digest.bytes[8] + digest.bytes[9] * 256U;

		assert_true(number < NUMBERS && has[number] && !met[number]);
		assert_int_equal(digest_set_find(set, &digest), i);
		met[number] = true;
	}
}

static void it_has_what_was_added_and_not_removed(void **state)
{
	struct digest_set set = { .keys = NULL };
	bool has[NUMBERS] = { false };
	uint32_t random = 4711;

	(void)state;
	assert_same(&set, has);
	for (unsigned i = 0; i < 5000; i++) {
		unsigned number;

		random = random * 1664525U + 1013904223U;
		number = (random >> 16) % NUMBERS;
		/* It fills, and empties again. */
		has[number] = (random >> 8) % 100 < (i / 1000 % 2 ? 20U : 80U);
		if (has[number]) {
			add(&set, number);
		} else {
			const struct digest digest = digest_number(number);

			digest_set_remove(&set, &digest);
		}
		assert_same(&set, has);
	}
	digest_set_release(&set);
	assert_int_equal(set.count, 0);
}

static void what_is_not_in_another_goes(void **state)
{
	struct digest_set set = { .keys = NULL }, kept = { .keys = NULL };
	bool has[NUMBERS] = { false };

	(void)state;
	for (unsigned i = 0; i < NUMBERS; i++) {
		add(&set, i);
		has[i] = i % 3 == 0;
		if (has[i])
			add(&kept, i);
	}
	digest_set_keep(&set, &kept);
	assert_same(&set, has);
	digest_set_release(&kept);
	digest_set_keep(&set, &kept);
	assert_int_equal(set.count, 0);
	digest_set_release(&set);
}

/* Two for each file of all releases are in memory at once while the store is swept. */
static void a_key_costs_little(void **state)
{
	struct digest_set set = { .keys = NULL };

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		struct digest digest = { .algorithm = DIGEST_SHA256 };
		const uint64_t spread = (i + 1) * 0x9e3779b97f4a7c15ULL;
		struct err err;

		memcpy(digest.bytes, &spread, sizeof(spread));
		assert_int_equal(digest_set_add(&set, &digest, &err), 0);
		if (set.count > 1000)
			assert_true(set.room * sizeof(*set.keys) +
			                    set.places * sizeof(*set.table) <=
			            set.count * 60);
	}
	assert_int_equal(set.count, 200000);
	digest_set_release(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_has_what_was_added_and_not_removed),
		cmocka_unit_test(what_is_not_in_another_goes),
		cmocka_unit_test(a_key_costs_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
