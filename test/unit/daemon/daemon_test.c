/* Targets, conditions, the log's quoting, troubles, configuration. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/conditional.h"
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/media_type.h"
#include "daemon/recurring.h"
#include "daemon/target.h"
#include "daemon/unit.h"
#include "storage/storage.h"

static void targets_are_resolved(void **state)
{
	static const struct {
		const char *raw;
		const char *path; /* NULL: refused */
		int has_slash;
	} cases[] = {
		{ "/", "", 1 },
		{ "/a/b.yaml", "a/b.yaml", 0 },
		{ "//a///b/", "a/b", 1 },
		{ "/a/./b/../c", "a/c", 0 },
		{ "/a/..", "", 1 },
		{ "/a/b/.", "a/b", 1 },
		{ "/..", NULL, 0 },
		{ "/a/../../b", NULL, 0 },
		{ "/%2e%2e/b", NULL, 0 },
		{ "/a%2Fb", "a/b", 0 },
		{ "/%41%c3%a4", "A\xc3\xa4", 0 },
		{ "/%2541", "%41", 0 },
		{ "/...", "...", 0 },
		{ "/a%", NULL, 0 },
		{ "/a%4", NULL, 0 },
		{ "/a%zz", NULL, 0 },
		{ "/a%00b", NULL, 0 },
		{ "a", NULL, 0 },
		{ "", NULL, 0 },
		{ "https://host/x/", "x", 1 },
		{ "https://host", "", 1 },
	};
	struct target target;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int failed = target_parse(cases[i].raw, &target, &err);

		if (failed != (cases[i].path ? 0 : -1))
			fail_msg("%s", cases[i].raw);
		if (failed)
			continue;
		assert_string_equal(target.path, cases[i].path);
		assert_int_equal(target.length, strlen(cases[i].path));
		assert_int_equal(target.has_slash, cases[i].has_slash);
	}
}

/* The file: "tag", 1000 seconds, 100 bytes. */
static const struct {
	struct head request;
	enum verdict verdict;
	uint64_t first, length;
} conditions[] = {
	{ { 0 }, VERDICT_WHOLE, 0, 100 },
	{ { .if_none_match = { { "\"tag\"" }, 1 } }, VERDICT_NOT_MODIFIED, 0, 100 },
	{ { .if_none_match = { { "\"x\", W/\"tag\"" }, 1 } }, VERDICT_NOT_MODIFIED, 0, 100 },
	{ { .if_none_match = { { "*" }, 1 } }, VERDICT_NOT_MODIFIED, 0, 100 },
	{ { .if_none_match = { { "\"tagg\"" }, 1 } }, VERDICT_WHOLE, 0, 100 },
	{ { .if_none_match = { { "tag" }, 1 } }, VERDICT_WHOLE, 0, 100 },
	{ { .if_match = { { "\"tag\"" }, 1 } }, VERDICT_WHOLE, 0, 100 },
	{ { .if_match = { { "W/\"tag\"" }, 1 } }, VERDICT_FAILED, 0, 100 },
	{ { .if_match = { { "\"x\"" }, 1 } }, VERDICT_FAILED, 0, 100 },
	{ { .if_modified_since = "Thu, 01 Jan 1970 00:16:40 GMT" }, VERDICT_NOT_MODIFIED, 0, 100 },
	{ { .if_modified_since = "Thu, 01 Jan 1970 00:16:39 GMT" }, VERDICT_WHOLE, 0, 100 },
	{ { .if_modified_since = "Thu, 01 Jan 1970 00:16:41 GMT" }, VERDICT_WHOLE, 0, 100 },
	{ { .if_modified_since = "Thursday, 01-Jan-70 00:16:40 GMT" },
	  VERDICT_NOT_MODIFIED,
	  0,
	  100 },
	{ { .if_modified_since = "Thu Jan  1 00:16:40 1970" }, VERDICT_NOT_MODIFIED, 0, 100 },
	{ { .if_modified_since = "yesterday" }, VERDICT_WHOLE, 0, 100 },
	{ { .if_unmodified_since = "Thu, 01 Jan 1970 00:16:39 GMT" }, VERDICT_FAILED, 0, 100 },
	{ { .range = "bytes=0-0" }, VERDICT_PARTS, 0, 1 },
	{ { .range = "bytes=90-" }, VERDICT_PARTS, 90, 10 },
	{ { .range = "bytes=90-500" }, VERDICT_PARTS, 90, 10 },
	{ { .range = "bytes=-7" }, VERDICT_PARTS, 93, 7 },
	{ { .range = "bytes=-700" }, VERDICT_PARTS, 0, 100 },
	{ { .range = "bytes=100-" }, VERDICT_UNSATISFIABLE, 0, 100 },
	{ { .range = "bytes=-0" }, VERDICT_UNSATISFIABLE, 0, 100 },
	{ { .range = "bytes=99999999999999999999-" }, VERDICT_UNSATISFIABLE, 0, 100 },
	{ { .range = "bytes=5-4" }, VERDICT_UNSATISFIABLE, 0, 100 },
	{ { .range = "lines=1-2" }, VERDICT_WHOLE, 0, 100 },
	{ { .range = "bytes=1-2", .if_range = "\"tag\"" }, VERDICT_PARTS, 1, 2 },
	{ { .range = "bytes=1-2", .if_range = "W/\"tag\"" }, VERDICT_WHOLE, 0, 100 },
	{ { .range = "bytes=1-2", .if_range = "\"old\"" }, VERDICT_WHOLE, 0, 100 },
	{ { .range = "bytes=1-2", .if_range = "Thu, 01 Jan 1970 00:16:40 GMT" },
	  VERDICT_PARTS,
	  1,
	  2 },
};

static void conditions_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		struct parts parts;
		enum verdict verdict = conditional_judge(&conditions[i].request, false, "\"tag\"",
		                                         1000, 100, &parts);

		if (verdict != conditions[i].verdict)
			fail_msg("case %zu: %d", i, (int)verdict);
		if (verdict == VERDICT_PARTS || verdict == VERDICT_WHOLE) {
			assert_int_equal(parts.count, 1);
			assert_int_equal(parts.at[0].first, conditions[i].first);
			assert_int_equal(parts.at[0].length, conditions[i].length);
		}
	}
}

static void troubles_are_thinned(void **state)
{
	struct err err;
	struct recurring *troubles = recurring_new(&err);
	unsigned told = 0;

	(void)state;
	assert_non_null(troubles);
	assert_false(recurring_over(troubles, "sync"));
	assert_false(recurring_over(troubles, ""));
	for (int64_t second = 0; second < 3600; second++)
		told += recurring_happened(troubles, "sync", "no route", second * 1000);
	assert_int_equal(told, 6); /* 0, 1, 3, 7, 15, 31 minutes */
	told = 0;
	for (int64_t second = 0; second < 24 * 3600; second++)
		told += recurring_happened(troubles, "disk", "full", second * 1000);
	assert_int_equal(told, 6 + 22); /* and each 64 minutes from then on */
	assert_true(recurring_happened(troubles, "sync", "another reason", 3600 * 1000));
	assert_true(recurring_over(troubles, "sync"));
	assert_false(recurring_over(troubles, "sync"));
	for (int i = 0; i < 1000; i++) {
		char subject[16];

		(void)snprintf(subject, sizeof(subject), "%d", i);
		assert_true(recurring_happened(troubles, subject, "x", i));
	}
	recurring_free(troubles);
}

static void troubles_of_a_kind(void **state)
{
	char subject[RECURRING_TEXT_SIZE];
	struct err err;
	struct recurring *troubles = recurring_new(&err);
	unsigned told = 0;

	(void)state;
	assert_non_null(troubles);
	assert_true(recurring_happened(troubles, "tag a", "x", 1000));
	assert_true(recurring_happened(troubles, "tag b", "x", 1000));
	assert_true(recurring_happened(troubles, "sync", "x", 1000));
	/* What goes on without a reason of its own. */
	assert_false(recurring_stays(troubles, "tag c", 2000));
	assert_true(recurring_happened(troubles, "tag c", "x", 2000));
	for (int64_t second = 2; second < 3602; second++)
		told += recurring_stays(troubles, "tag c", second * 1000);
	assert_int_equal(told, 5); /* 1, 3, 7, 15, 31 minutes later */
	/* What it depends on is another: of this kind alone. */
	assert_false(recurring_happened(troubles, "tag b", "x", 3000));
	recurring_renew(troubles, "tag ");
	assert_true(recurring_happened(troubles, "tag b", "x", 3001));
	assert_false(recurring_happened(troubles, "tag b", "x", 3002));
	assert_false(recurring_happened(troubles, "sync", "x", 3002));
	/* What did not happen any more, of this kind. */
	assert_true(recurring_sweep(troubles, "tag ", 3002, subject));
	assert_string_equal(subject, "tag a");
	assert_false(recurring_sweep(troubles, "tag ", 3002, subject));
	assert_false(recurring_over(troubles, "tag a"));
	assert_true(recurring_over(troubles, "tag b"));
	assert_true(recurring_over(troubles, "sync"));
	recurring_free(troubles);
}

/* However many others come and go: what is met now and then, told or not, keeps its place. */
static void what_goes_on_is_not_forgotten(void **state)
{
	struct err err;
	struct recurring *troubles = recurring_new(&err);
	unsigned told = 0;

	(void)state;
	assert_non_null(troubles);
	for (int64_t second = 0; second < 3600; second++) {
		char other[24];

		(void)snprintf(other, sizeof(other), "other %d", (int)second);
		assert_true(recurring_happened(troubles, other, "x", second * 1000));
		told += recurring_happened(troubles, "disk", "x", second * 1000 + 1);
	}
	assert_int_equal(told, 6);
	recurring_free(troubles);
}

static void another_measure_is_no_other_reason(void **state)
{
	static const struct {
		const char *first, *then;
		bool is_news;
	} cases[] = {
		{ "to h port 443 after 12 ms: no", "to h port 443 after 9 ms: no", false },
		{ "after 12 ms: no", "after 12 ms: maybe", true },
		{ "timed out after 1001 milliseconds with 5 out of 10 bytes received",
		  "timed out after 999 milliseconds with 77 out of 10 bytes received", false },
		{ "401 from h", "403 from h", true },
		{ "h port 443 after 1 ms", "h port 444 after 1 ms", true },
		{ "a", "ab", true },
		{ "ab", "a", true },
		{ "after 1 ms", "after x ms", true },
		{ "", "1", true },
	};
	char longer[400] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err;
		struct recurring *troubles = recurring_new(&err);

		assert_non_null(troubles);
		assert_true(recurring_happened(troubles, "sync", cases[i].first, 0));
		if (recurring_happened(troubles, "sync", cases[i].then, 1) != cases[i].is_news)
			fail_msg("%s, %s", cases[i].first, cases[i].then);
		recurring_free(troubles);
	}
	/* One that is longer than what is noted of it is itself, wherever it is cut. */
	for (size_t length = 190; length < 210; length++) {
		struct err err;
		struct recurring *troubles = recurring_new(&err);

		assert_non_null(troubles);
		memset(longer, 'x', length);
		(void)strcpy(longer + length, " after 123456 ms: no");
		assert_true(recurring_happened(troubles, "sync", longer, 0));
		assert_false(recurring_happened(troubles, "sync", longer, 1));
		(void)strcpy(longer, "y");
		assert_true(recurring_happened(troubles, "sync", longer, 2));
		recurring_free(troubles);
	}
}

enum { LINES = 40, LINE_BYTES = 3 * 4096 };

/* Lines of one letter each, longer than what a pipe takes at once. */
static void *write_lines(void *letter)
{
	char text[LINE_BYTES + 1];

	memset(text, *(const char *)letter, LINE_BYTES);
	text[LINE_BYTES] = '\0';
	for (int i = 0; i < LINES; i++)
		log_line(LOG_WARNING, text, NULL);
	return NULL;
}

struct reading {
	FILE *file;
	int count; /* of lines of one letter alone */
};

static void *read_lines(void *ctx)
{
	struct reading *reading = ctx;
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, reading->file) > 0) {
		const char *text = strstr(line, "msg=");

		reading->count += text && strlen(text) == 4 + LINE_BYTES + 1 &&
		                  strspn(text + 4, (const char[]){ text[4], '\0' }) == LINE_BYTES;
	}
	free(line);
	return NULL;
}

static void lines_come_out_whole(void **state)
{
	char letters[] = "abcd";
	struct reading reading = { .count = 0 };
	pthread_t reader, writers[4];
	int ends[2], before = dup(STDERR_FILENO);

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
	reading.file = fdopen(ends[0], "r");
	assert_non_null(reading.file);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	(void)close(ends[1]);
	assert_int_equal(pthread_create(&reader, NULL, read_lines, &reading), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&writers[i], NULL, write_lines, &letters[i]), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(writers[i], NULL), 0);
	assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO); /* the pipe's end */
	assert_int_equal(pthread_join(reader, NULL), 0);
	(void)close(before);
	(void)fclose(reading.file);
	assert_int_equal(reading.count, 4 * LINES);
}

static void configuration_is_read(void **state)
{
	char *args[] = { "serve",   "--poll-interval=1h30m", "--plain-http",      "--listen",
		         "[::1]:0", "--scrub-interval=off",  "--cache-size=64Mi", NULL };
	char *environment[] = { "PATH=/bin", "SPECMAN_POLL_INTERVAL=5s", "SPECMAN_WORKERS=3",
		                "SPECMAN_SERVICE_SERVICE_HOST=10.0.0.1", NULL };
	char *none[] = { NULL };
	struct config config;
	struct err err = { .msg = "" };

	(void)state;
	if (config_read(args, environment, &config, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(config.command, "serve");
	assert_int_equal(config.poll_interval_ms, 90 * 60 * 1000);
	assert_int_equal(config.workers, 3);
	assert_true(config.plain_http);
	assert_int_equal(config.scrub_interval_ms, 0);
	assert_int_equal(config.cache_size, 64 << 20);
	assert_false(config.registry_insecure);
	assert_int_equal(config.listen.count, 1);
	assert_int_equal(config.admin_listen.count, 1);
	assert_string_equal(config.data_dir, "/var/lib/specman");
	config_release(&config);
	assert_int_equal(config_read(none, none, &config, &err), 0);
	assert_int_equal(config.poll_interval_ms, 60000);
	assert_int_equal(config.poll_jitter_percent, 10);
	assert_int_equal(config.scrub_interval_ms, 24 * 3600 * 1000);
	assert_int_equal(config.cache_size, 128 << 20);
	assert_int_equal(config.max_entries, store_default_limits.entries);
	assert_int_equal(config.max_file_size, store_default_limits.file_bytes);
	assert_int_equal(config.max_unpacked_size, store_default_limits.total_bytes);
	assert_int_equal(config.max_ratio, store_default_limits.ratio);
	assert_int_equal(config.max_path_length, store_default_limits.path_bytes);
	assert_int_equal(config.max_depth, store_default_limits.depth);
	config_release(&config);
}

static void sizes_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes; /* -1: refused */
	} cases[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "512Ki", 512 << 10 },
		{ "64Mi", 64 << 20 },
		{ "10Gi", 10LL << 30 },
		{ "1T", 1000000000000 },
		{ "2k", 2000 },
		{ "", -1 },
		{ "Mi", -1 },
		{ "-1", -1 },
		{ "1.5Gi", -1 },
		{ "1 Gi", -1 },
		{ "64MiB", -1 },
		{ "2000000Ti", -1 },
		{ "99999999999999999999", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t bytes = -1;
		int failed = unit_parse_size(cases[i].text, &bytes);

		if (failed != -(cases[i].bytes < 0) || bytes != cases[i].bytes)
			fail_msg("%s gave %" PRId64, cases[i].text, bytes);
	}
}

static void types_follow_endings(void **state)
{
	(void)state;
	assert_string_equal(media_type_of("versions.yaml"), "application/yaml");
	assert_string_equal(media_type_of("a.b.TGZ"), "application/gzip");
	assert_string_equal(media_type_of("notes.txt"), "text/plain; charset=utf-8");
	assert_string_equal(media_type_of("yaml"), "application/octet-stream");
	assert_string_equal(media_type_of("x."), "application/octet-stream");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_are_resolved),
		cmocka_unit_test(conditions_are_judged),
		cmocka_unit_test(troubles_are_thinned),
		cmocka_unit_test(troubles_of_a_kind),
		cmocka_unit_test(what_goes_on_is_not_forgotten),
		cmocka_unit_test(another_measure_is_no_other_reason),
		cmocka_unit_test(lines_come_out_whole),
		cmocka_unit_test(configuration_is_read),
		cmocka_unit_test(sizes_are_read),
		cmocka_unit_test(types_follow_endings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
