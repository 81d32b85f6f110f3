/* The order of tags. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "storage/storage.h"

static void order_is_total(void **state)
{
	/* Ascending; SemVer 2.0, section 11, and the tags that are no versions. */
	static const char *const tags[] = {
		"1.2.3.4",
		"1.2.x",
		"latest",
		"v",
		"0.0.0",
		"0.0.1",
		"1.0.0-alpha",
		"1.0.0-alpha.1",
		"1.0.0-alpha.beta",
		"1.0.0-beta",
		"1.0.0-beta.2",
		"1.0.0-beta.11",
		"1.0.0-rc.1",
		"1",
		"1.0",
		"1.0.0",
		"v1.0.0",
		"4.5.9",
		"4.5.13",
		"4.5.15",
		"10.0.0",
		"99999999999999999999.0.0",
	};
	size_t count = sizeof(tags) / sizeof(tags[0]);

	(void)state;
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++) {
			int order = store_tag_compare(tags[i], tags[j]);

			if ((order < 0) != (i < j) || (order > 0) != (i > j))
				fail_msg("%s and %s: %d", tags[i], tags[j], order);
		}
}

static void precedence_knows_no_spelling(void **state)
{
	static const struct {
		const char *a, *b;
		int order;
	} cases[] = {
		{ "4.5", "4.5.0", 0 },
		{ "v4.5.0", "4.5.0", 0 },
		{ "4.5.0-rc.1", "v4.5-rc.1", 0 },
		{ "4.5.0-rc.1", "4.5", -1 },
		{ "4.10", "4.9", 1 },
		{ "latest", "0.0.0", -1 },
		{ "latest", "stable", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int order = store_version_compare(cases[i].a, cases[i].b);
		int reverse = store_version_compare(cases[i].b, cases[i].a);

		if ((order > 0) - (order < 0) != cases[i].order ||
		    (reverse > 0) - (reverse < 0) != -cases[i].order)
			fail_msg("%s and %s: %d, %d", cases[i].a, cases[i].b, order, reverse);
	}
}

static void kinds_of_tags(void **state)
{
	(void)state;
	assert_int_equal(store_tag_kind("4.5.15"), STORE_TAG_VERSION);
	assert_int_equal(store_tag_kind("v4"), STORE_TAG_VERSION);
	assert_int_equal(store_tag_kind("4.6-rc.1"), STORE_TAG_PRE_RELEASE);
	assert_int_equal(store_tag_kind("4.6.0-"), STORE_TAG_NO_VERSION);
	assert_int_equal(store_tag_kind("latest"), STORE_TAG_NO_VERSION);
	assert_int_equal(store_tag_kind("4.x"), STORE_TAG_NO_VERSION);
	assert_int_equal(store_tag_kind(""), STORE_TAG_NO_VERSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_total),
		cmocka_unit_test(precedence_knows_no_spelling),
		cmocka_unit_test(kinds_of_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
