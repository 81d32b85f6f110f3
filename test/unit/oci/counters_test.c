/* Counting what is asked of registries: there are so many figures and no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "oci/counters.h"

/* The only figure that is not 0. */
static void assert_only(const struct oci_counters *counters, const char *method, const char *code,
                        uint64_t count)
{
	for (size_t i = 0; i < OCI_COUNTED_METHODS; i++)
		for (size_t k = 0; k < OCI_COUNTED_CODES; k++) {
			bool is_it = !strcmp(oci_counted_method(i), method) &&
			             !strcmp(oci_counted_code(k), code);

			if (counters->answers[i][k] != (is_it ? count : 0))
				fail_msg("%s %s: %d", oci_counted_method(i), oci_counted_code(k),
				         (int)counters->answers[i][k]);
		}
}

static void answers_find_their_place(void **state)
{
	static const struct {
		enum exchange_method method;
		long status;
		const char *name, *code;
	} rows[] = {
		{ EXCHANGE_GET, 200, "GET", "200" },     { EXCHANGE_HEAD, 404, "HEAD", "404" },
		{ EXCHANGE_POST, 202, "POST", "202" },   { EXCHANGE_PUT, 201, "PUT", "201" },
		{ EXCHANGE_PATCH, 416, "PATCH", "416" }, { EXCHANGE_GET, 0, "GET", "none" },
		{ EXCHANGE_GET, 299, "GET", "2xx" },     { EXCHANGE_GET, 399, "GET", "3xx" },
		{ EXCHANGE_GET, 418, "GET", "4xx" },     { EXCHANGE_GET, 599, "GET", "5xx" },
		{ EXCHANGE_GET, 600, "GET", "other" },   { EXCHANGE_GET, 999, "GET", "other" },
		{ EXCHANGE_GET, 100, "GET", "other" },   { EXCHANGE_GET, 1, "GET", "other" },
		{ EXCHANGE_GET, 5, "GET", "other" },     { EXCHANGE_GET, -1, "GET", "other" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct oci_counters counters = { .retries = 0 };

		counters_answer(&counters, rows[i].method, rows[i].status);
		counters_answer(&counters, rows[i].method, rows[i].status);
		assert_only(&counters, rows[i].name, rows[i].code, 2);
	}
	counters_answer(NULL, EXCHANGE_GET, 200);
	counters_received(NULL, 1);
	counters_notice(NULL, OCI_NOTICE_RETRY);
}

static void notices_are_counted(void **state)
{
	struct oci_counters counters = { .retries = 0 };

	(void)state;
	counters_notice(&counters, OCI_NOTICE_RETRY);
	counters_notice(&counters, OCI_NOTICE_RETRY);
	counters_notice(&counters, OCI_NOTICE_FAILED_OVER);
	counters_notice(&counters, OCI_NOTICE_MIRROR_DIFFERS);
	counters_received(&counters, 5);
	counters_received(&counters, 7);
	assert_int_equal(counters.retries, 2);
	assert_int_equal(counters.failovers, 1);
	assert_int_equal(counters.received_bytes, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_find_their_place),
		cmocka_unit_test(notices_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
