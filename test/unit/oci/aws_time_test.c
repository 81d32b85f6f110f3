/* When tokens and keys end, and when they are to be renewed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/aws_time.h"
#include "oci/limits.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void reads_times(void **state)
{
	static const char *const wrong[] = { "",
		                             "2024-12-06",
		                             "2024-12-06T12:43:14",
		                             "2024-12-06T12:43:14+01:00",
		                             "2024-12-06T12:43:14.Z",
		                             "2024-13-06T12:43:14Z",
		                             "2024-12-06T12:43:14Zx" };
	struct err err;
	int64_t seconds = 0;

	(void)state;
	assert_int_equal(aws_time_parse("1970-01-02T00:00:01Z", &seconds, &err), 0);
	assert_int_equal(seconds, 86401);
	assert_int_equal(aws_time_parse("2011-07-15T23:28:33.359Z", &seconds, &err), 0);
	assert_int_equal(seconds, 1310772513);
	for (size_t i = 0; i < LEN(wrong); i++) {
		if (!aws_time_parse(wrong[i], &seconds, &err))
			fail_msg("%s is taken for a time", wrong[i]);
		assert_int_equal(err.kind, ERR_FORMAT);
	}
}

static void renews_before_the_end(void **state)
{
	static const struct {
		int64_t life_s, margin_s, renew_s;
	} rows[] = {
		{ 12 * 3600, AWS_TOKEN_MARGIN_S, 11 * 3600 },
		{ 6 * 3600, AWS_TOKEN_MARGIN_S, 5 * 3600 },
		{ 2 * 3600, AWS_TOKEN_MARGIN_S, 3600 },
		{ 2 * 3600 - 2, AWS_TOKEN_MARGIN_S, 3599 },
		{ 4, AWS_TOKEN_MARGIN_S, 2 },
		{ 1, AWS_TOKEN_MARGIN_S, 1 },
		{ 0, AWS_TOKEN_MARGIN_S, 1 },
		{ 3600, AWS_KEYS_MARGIN_S, 3300 },
		{ 600, AWS_KEYS_MARGIN_S, 300 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		assert_int_equal(aws_time_renew(rows[i].life_s, rows[i].margin_s), rows[i].renew_s);
}

static void set_date(struct exchange *exchange, int64_t skew_s)
{
	time_t when = time(NULL) + skew_s;
	char line[80];
	struct tm tm;

	assert_true(strftime(line, sizeof(line), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n",
	                     gmtime_r(&when, &tm)));
	assert_int_equal(exchange_take_line(exchange, line, strlen(line)), 0);
}

/* Ends are by the clock of whom they are from, whatever ours says. */
static void counts_by_the_other_clock(void **state)
{
	static const int64_t skews[] = { 0, 3600, -86400 };

	(void)state;
	for (size_t i = 0; i < LEN(skews); i++) {
		CLEANUP(exchange_release) struct exchange exchange = { .size = EXCHANGE_ANY_SIZE };
		int64_t now_s = time(NULL) + skews[i];

		if (skews[i])
			set_date(&exchange, skews[i]);
		assert_in_range(aws_time_skew(&exchange) - skews[i] + 2, 0, 4);
		assert_in_range(aws_time_life(&exchange, now_s + 1000), 990, 1000);
		assert_int_equal(aws_time_life(&exchange, now_s - 10), 0);
		assert_int_equal(aws_time_life(&exchange, INT64_MIN), 0);
		assert_int_equal(aws_time_life(&exchange, INT64_MAX), LIMIT_AWS_LIFE_S);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_times),
		cmocka_unit_test(renews_before_the_end),
		cmocka_unit_test(counts_by_the_other_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
