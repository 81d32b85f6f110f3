/* Dates as HTTP writes them, and what a date is good for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>
#include <time.h>

#include "daemon/conditional.h"

enum { STEP_S = 5 * 86400 + 86399 };

static void check_date(int64_t seconds)
{
	time_t time = (time_t)seconds;
	char text[HTTP_DATE_SIZE], expected[HTTP_DATE_SIZE];
	int64_t parsed;
	struct tm utc;

	assert_non_null(gmtime_r(&time, &utc));
	assert_int_equal(strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &utc),
	                 29);
	assert_string_equal(http_date(seconds, text), expected);
	assert_true(http_date_parse(text, &parsed));
	assert_true(parsed == seconds);
}

static void dates_are_those_of_the_calendar(void **state)
{
	static const int64_t odd[] = {
		-30610224000, 253402300799, -1,         0,          951782399,  951782400,
		951868799,    951868800,    4107542399, 4107542400, 1733488994,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		check_date(odd[i]);
	for (int64_t time = -30610224000; time < 253402300799; time += STEP_S)
		check_date(time);
}

/* A year of four digits is all that the form has. */
static void what_has_no_form_is_the_beginning(void **state)
{
	static const int64_t outside[] = { INT64_MIN, -30610224001, 253402300800, INT64_MAX };
	char text[HTTP_DATE_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		assert_string_equal(http_date(outside[i], text), "Thu, 01 Jan 1970 00:00:00 GMT");
}

static enum verdict judge(const char *if_range, int64_t mtime)
{
	const struct head head = { .range = "bytes=0-1", .if_range = if_range };
	struct parts parts;

	return conditional_judge(&head, false, "\"tag\"", mtime, 100, &parts);
}

/* Files that were packed without times all have this one, whatever is in them. */
static void the_beginning_of_time_tells_no_contents_apart(void **state)
{
	(void)state;
	assert_int_equal(judge("Fri, 06 Dec 2024 12:43:14 GMT", 1733488994), VERDICT_PARTS);
	assert_int_equal(judge("Thu, 01 Jan 1970 00:00:00 GMT", 0), VERDICT_WHOLE);
	assert_int_equal(judge("\"tag\"", 0), VERDICT_PARTS);
	assert_int_equal(judge(NULL, 0), VERDICT_PARTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_are_those_of_the_calendar),
		cmocka_unit_test(what_has_no_form_is_the_beginning),
		cmocka_unit_test(the_beginning_of_time_tells_no_contents_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
