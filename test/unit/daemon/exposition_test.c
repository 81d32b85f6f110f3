/* Metrics as text, and the counting of requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/exposition.h"
#include "daemon/http_count.h"

static const struct metric rounds = { "t_rounds", METRIC_COUNTER, NULL, "Rounds that ended." };
static const struct metric sent = { "t_sent_bytes", METRIC_COUNTER, "bytes", "Bytes sent." };
static const struct metric build = { "t_build", METRIC_INFO, NULL, "What it is made of." };
static const struct metric depth = { "t_depth", METRIC_GAUGE, NULL, "How deep." };
static const struct metric took = { "t_took_seconds", METRIC_HISTOGRAM, "seconds", "How long." };

static void write_all(struct exposition *e)
{
	static const char *const bounds[] = { "0.5", "1.0" };
	static const uint64_t buckets[] = { 3, 0, 2 };

	exposition_family(e, &rounds);
	exposition_value(e, (struct metric_label[]){ { "result", "done" }, { NULL, NULL } }, 3);
	exposition_value(e, (struct metric_label[]){ { "result", "no" }, { NULL, NULL } }, 0);
	exposition_single(e, &sent, 9007199254740991.0);
	exposition_family(e, &build);
	exposition_value(e,
	                 (struct metric_label[]){
				 { "a", "1" }, { "b", "x\"y\\z\nw\xff\xc3\xa4" }, { NULL, NULL } },
	                 1);
	exposition_single(e, &depth, -0.25);
	exposition_family(e, &took);
	exposition_histogram(e, bounds, buckets, 2, 1.5);
}

static void older_text(void **state)
{
	struct exposition e;
	struct err err;

	(void)state;
	exposition_init(&e, EXPOSITION_TEXT);
	write_all(&e);
	assert_int_equal(exposition_end(&e, &err), 0);
	assert_string_equal(buf_text(&e.text), "# HELP t_rounds_total Rounds that ended.\n"
	                                       "# TYPE t_rounds_total counter\n"
	                                       "t_rounds_total{result=\"done\"} 3\n"
	                                       "t_rounds_total{result=\"no\"} 0\n"
	                                       "# HELP t_sent_bytes_total Bytes sent.\n"
	                                       "# TYPE t_sent_bytes_total counter\n"
	                                       "t_sent_bytes_total 9007199254740991\n"
	                                       "# HELP t_build_info What it is made of.\n"
	                                       "# TYPE t_build_info gauge\n"
	                                       "t_build_info{a=\"1\",b=\"x\\\"y\\\\z\\nw???\"} 1\n"
	                                       "# HELP t_depth How deep.\n"
	                                       "# TYPE t_depth gauge\n"
	                                       "t_depth -0.25\n"
	                                       "# HELP t_took_seconds How long.\n"
	                                       "# TYPE t_took_seconds histogram\n"
	                                       "t_took_seconds_bucket{le=\"0.5\"} 3\n"
	                                       "t_took_seconds_bucket{le=\"1.0\"} 3\n"
	                                       "t_took_seconds_bucket{le=\"+Inf\"} 5\n"
	                                       "t_took_seconds_sum 1.5\n"
	                                       "t_took_seconds_count 5\n");
	assert_non_null(strstr(exposition_type(EXPOSITION_TEXT), "text/plain; version=0.0.4"));
	exposition_release(&e);
}

static void openmetrics(void **state)
{
	struct exposition e;
	struct err err;

	(void)state;
	exposition_init(&e, EXPOSITION_OPENMETRICS);
	write_all(&e);
	assert_int_equal(exposition_end(&e, &err), 0);
	assert_string_equal(buf_text(&e.text), "# HELP t_rounds Rounds that ended.\n"
	                                       "# TYPE t_rounds counter\n"
	                                       "t_rounds_total{result=\"done\"} 3\n"
	                                       "t_rounds_total{result=\"no\"} 0\n"
	                                       "# HELP t_sent_bytes Bytes sent.\n"
	                                       "# TYPE t_sent_bytes counter\n"
	                                       "# UNIT t_sent_bytes bytes\n"
	                                       "t_sent_bytes_total 9007199254740991\n"
	                                       "# HELP t_build What it is made of.\n"
	                                       "# TYPE t_build info\n"
	                                       "t_build_info{a=\"1\",b=\"x\\\"y\\\\z\\nw???\"} 1\n"
	                                       "# HELP t_depth How deep.\n"
	                                       "# TYPE t_depth gauge\n"
	                                       "t_depth -0.25\n"
	                                       "# HELP t_took_seconds How long.\n"
	                                       "# TYPE t_took_seconds histogram\n"
	                                       "# UNIT t_took_seconds seconds\n"
	                                       "t_took_seconds_bucket{le=\"0.5\"} 3\n"
	                                       "t_took_seconds_bucket{le=\"1.0\"} 3\n"
	                                       "t_took_seconds_bucket{le=\"+Inf\"} 5\n"
	                                       "t_took_seconds_sum 1.5\n"
	                                       "t_took_seconds_count 5\n"
	                                       "# EOF\n");
	exposition_release(&e);
}

static void what_is_too_long_fails(void **state)
{
	struct exposition e;
	struct err err = { .kind = ERR_NONE };

	(void)state;
	exposition_init(&e, EXPOSITION_TEXT);
	e.text.max = 100;
	write_all(&e);
	assert_int_equal(exposition_end(&e, &err), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
	exposition_release(&e);
}

/* ---- counting ---- */

static size_t code_place(const char *name)
{
	for (size_t i = 0; i < HTTP_CODES; i++)
		if (!strcmp(http_code_name(i), name))
			return i;
	fail_msg("no code %s", name);
	return 0;
}

static void requests_are_counted_by_method_and_code(void **state)
{
	static const struct {
		const char *method;
		unsigned status;
		size_t method_place;
		const char *code;
	} rows[] = {
		{ "GET", 200, 0, "200" },      { "HEAD", 304, 1, "304" },
		{ "OPTIONS", 200, 2, "200" },  { "get", 501, 3, "501" },
		{ "PROPFIND", 405, 3, "405" }, { "GET", 0, 0, "none" },
		{ "GET", 1, 0, "other" },      { "GET", 299, 0, "other" },
		{ "", 400, 3, "400" },
	};
	struct http_totals sum = { .broken = 0 };
	struct http_counts *counts;
	struct err err;

	(void)state;
	counts = http_counts_new(&err);
	assert_non_null(counts);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		http_counts_began(counts);
		assert_int_equal(http_counts_busy(counts), 1);
		http_counts_ended(counts, rows[i].method, rows[i].status, 0, i % 2);
		assert_int_equal(http_counts_busy(counts), 0);
	}
	http_counts_unread(counts);
	http_counts_login(counts, HTTP_LOGIN_WRONG);
	/* Twice: it is a sum. */
	http_counts_add(counts, &sum);
	http_counts_add(counts, &sum);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t *place = &sum.requests[rows[i].method_place][code_place(rows[i].code)];

		assert_true(*place >= 2);
		*place -= 2;
	}
	assert_int_equal(sum.requests[3][code_place("none")], 2);
	sum.requests[3][code_place("none")] = 0;
	for (size_t i = 0; i < HTTP_METHODS * (size_t)HTTP_CODES; i++)
		assert_int_equal(sum.requests[i / HTTP_CODES][i % HTTP_CODES], 0);
	assert_int_equal(sum.broken, 10);
	assert_int_equal(sum.in_flight, 0);
	assert_int_equal(sum.logins_refused[HTTP_LOGIN_WRONG], 2);
	http_counts_free(counts);
}

static void durations_find_their_buckets(void **state)
{
	struct http_totals sum = { .broken = 0 };
	struct http_counts *counts;
	uint64_t all = 0;
	struct err err;

	(void)state;
	counts = http_counts_new(&err);
	assert_non_null(counts);
	for (size_t i = 0; i < HTTP_BOUNDS; i++) {
		int64_t bound = (int64_t)http_bounds_us[i];

		/* On the bound is below it; a microsecond more is not. */
		assert_true(i == 0 || http_bounds_us[i] > http_bounds_us[i - 1]);
		assert_true(strtod(http_bound_names[i], NULL) * 1e6 == (double)bound);
		http_counts_began(counts);
		http_counts_ended(counts, "GET", 200, bound, true);
		http_counts_began(counts);
		http_counts_ended(counts, "GET", 200, bound + 1, true);
		all += (uint64_t)bound * 2 + 1;
	}
	http_counts_add(counts, &sum);
	assert_int_equal(sum.buckets[0], 1);
	for (size_t i = 1; i < HTTP_BOUNDS; i++)
		assert_int_equal(sum.buckets[i], 2);
	assert_int_equal(sum.buckets[HTTP_BOUNDS], 1);
	assert_int_equal(sum.sum_us, all);
	http_counts_free(counts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(older_text),
		cmocka_unit_test(openmetrics),
		cmocka_unit_test(what_is_too_long_fails),
		cmocka_unit_test(requests_are_counted_by_method_and_code),
		cmocka_unit_test(durations_find_their_buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
