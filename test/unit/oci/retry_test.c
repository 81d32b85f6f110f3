/* When to ask again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "oci/limits.h"
#include "oci/oci.h"
#include "oci/retry.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void reads_retry_after(void **state)
{
	static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";
	static const struct {
		const char *value, *date;
		int64_t ms;
	} rows[] = {
		{ "0", NULL, 0 },
		{ "7", NULL, 7000 },
		{ "007", NULL, 7000 },
		{ "3600", NULL, 3600 * 1000 },
		{ "3601", NULL, 3600 * 1000 },
		{ "99999999999999999999", NULL, 3600 * 1000 },
		{ "-1", NULL, 0 },
		{ "1.5", NULL, 0 },
		{ "5 s", NULL, 0 },
		{ "", NULL, 0 },
		{ "soon", NULL, 0 },
		/* Against the answer's own clock, whatever ours says. */
		{ "Sun, 06 Nov 1994 08:49:47 GMT", date, 10 * 1000 },
		{ "Sunday, 06-Nov-94 08:49:47 GMT", date, 10 * 1000 },
		{ "Sun Nov  6 08:49:47 1994", date, 10 * 1000 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", date, 0 },
		{ "Sun, 06 Nov 1994 08:00:00 GMT", date, 0 },
		{ "Mon, 07 Nov 1994 08:49:37 GMT", date, 3600 * 1000 },
		/* Long ago by our clock. */
		{ "Sun, 06 Nov 1994 08:49:47 GMT", NULL, 0 },
		{ "Sun, 06 Nov 1994 08:49:47 GMT", "no date", 0 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		if (retry_after_ms(rows[i].value, rows[i].date) != rows[i].ms)
			fail_msg("\"%s\"", rows[i].value);
}

static void knows_what_a_pause_may_mend(void **state)
{
	static const struct {
		enum err_kind kind;
		enum oci_cause cause;
		bool may;
	} rows[] = {
		{ ERR_NETWORK, OCI_CAUSE_NONE, true },
		{ ERR_NETWORK, OCI_CAUSE_REFUSED, true },
		{ ERR_NETWORK, OCI_CAUSE_RATE_LIMITED, true },
		{ ERR_NETWORK, OCI_CAUSE_SERVER_FAILED, true },
		{ ERR_NETWORK, OCI_CAUSE_TLS_UNTRUSTED, false },
		{ ERR_NETWORK, OCI_CAUSE_TLS_EXPIRED, false },
		{ ERR_NETWORK, OCI_CAUSE_TLS_HANDSHAKE, false },
		{ ERR_AUTH, OCI_CAUSE_LOGIN_REFUSED, false },
		{ ERR_NOT_FOUND, OCI_CAUSE_CONTENT_GONE, false },
		{ ERR_DIGEST, OCI_CAUSE_NONE, false },
		{ ERR_LIMIT, OCI_CAUSE_REDIRECT_REFUSED, false },
		{ ERR_CANCELLED, OCI_CAUSE_NONE, false },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		const struct err err = { .kind = rows[i].kind, .cause = (int)rows[i].cause };

		assert_int_equal(retry_may_help(&err), rows[i].may);
	}
}

static void pauses_grow_and_spread(void **state)
{
	(void)state;
	for (unsigned attempt = 0; attempt < LIMIT_RETRIES; attempt++) {
		int64_t most = (int64_t)RETRY_BASE_MS << attempt;
		int64_t least_seen = most, most_seen = 0;

		for (int i = 0; i < 1000; i++) {
			int64_t pause = retry_pause_ms(attempt, 0);

			assert_in_range(pause, 0, most);
			least_seen = pause < least_seen ? pause : least_seen;
			most_seen = pause > most_seen ? pause : most_seen;
		}
		/* A thousand draws miss a quarter of the range once in 10^125 times. */
		assert_true(least_seen < most / 4);
		assert_true(most_seen > most - most / 4);
		assert_true(retry_pause_ms(attempt, 100000) >= 100000);
	}
}

static void waits_end_with_a_stop(void **state)
{
	struct err err;
	struct cancel *cancel = cancel_new(&err);
	int64_t begun = clock_now_ms();

	(void)state;
	assert_non_null(cancel);
	assert_int_equal(retry_wait(cancel, 30, &err), 0);
	assert_true(clock_now_ms() - begun >= 30);
	cancel_raise(cancel);
	assert_int_equal(retry_wait(cancel, INT32_MAX, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
	cancel_free(cancel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_retry_after),
		cmocka_unit_test(knows_what_a_pause_may_mend),
		cmocka_unit_test(pauses_grow_and_spread),
		cmocka_unit_test(waits_end_with_a_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
