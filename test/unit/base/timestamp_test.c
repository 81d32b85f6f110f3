/* Moments in RFC 3339. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/timestamp.h"

static void moments_are_parsed(void **state)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2024-12-06T12:43:14Z", 1733488994000 },
		{ "2024-12-06T12:43:14.5Z", 1733488994500 },
		{ "2024-12-06T12:43:14.123456789Z", 1733488994123 },
		{ "2024-12-06t12:43:14z", 1733488994000 },
		{ "2024-12-06T14:43:14+02:00", 1733488994000 },
		{ "2024-12-06T07:13:14.25-05:30", 1733488994250 },
		{ "2024-02-29T00:00:00Z", 1709164800000 },
		{ "2016-12-31T23:59:60Z", 1483228800000 },
		{ "", -1 },
		{ "2024-12-06", -1 },
		{ "2024-12-06T12:43:14", -1 },
		{ "2024-12-06T12:43:14Zz", -1 },
		{ "2024-12-06T12:43:14.Z", -1 },
		{ "2024-12-06T12:43:14+2:00", -1 },
		{ "2024-12-06T12:43:14+02:00:00", -1 },
		{ "2024-12-06T24:00:00Z", -1 },
		{ "2024-12-06T12:60:00Z", -1 },
		{ "2023-02-29T00:00:00Z", -1 },
		{ "2024-13-01T00:00:00Z", -1 },
		{ "2024-00-01T00:00:00Z", -1 },
		{ "2024-12-00T00:00:00Z", -1 },
		{ "24-12-06T12:43:14Z", -1 },
		{ " 2024-12-06T12:43:14Z", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t ms = -1;
		int failed = timestamp_parse(cases[i].text, &ms);

		if ((cases[i].ms < 0) != (failed != 0) || ms != cases[i].ms)
			fail_msg("\"%s\" is %lld", cases[i].text, (long long)ms);
	}
}

static void moments_are_written_as_they_are_read(void **state)
{
	static const int64_t cases[] = {
		0, 1, 1733488994123, -1, 253402300799999, -62167219200000
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[TIMESTAMP_SIZE];
		int64_t ms;

		assert_int_equal(timestamp_parse(timestamp_format(cases[i], text), &ms), 0);
		assert_int_equal(ms, cases[i]);
	}
	assert_true(timestamp_now_ms() > 1733488994000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moments_are_parsed),
		cmocka_unit_test(moments_are_written_as_they_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
