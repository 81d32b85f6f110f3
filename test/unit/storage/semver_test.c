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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(order_is_total) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
