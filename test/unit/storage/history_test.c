/* What is remembered of tags that move, and what moves back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "storage/store.h"

/* Publish an archive, or republish one of a layer that is there, with this manifest and date. */
static int move_by(struct fixture *f, const char *tag, unsigned char manifest, unsigned char layer,
                   const char *created, const struct digest *signer, struct err *err)
{
	const struct digest named = { .algorithm = DIGEST_SHA256, .bytes = { manifest } };
	struct digest digest;
	const struct store_source source = { tag, created, &named, &digest, NULL, 0, signer };
	CLEANUP(buf_release) struct buf bytes = BUF_INIT(1 << 20);
	struct store_download *download;
	struct store_release release;
	char path[96];
	int failed;

	(void)snprintf(path, sizeof(path), "%s/archive", f->dir);
	build(path, layer % 2 ? base_items : newer_items);
	assert_int_equal(io_read_file(AT_FDCWD, path, &bytes, err), 0);
	assert_int_equal(digest_of(DIGEST_SHA256, bytes.data, bytes.size, &digest, err), 0);
	if (!store_republish(f->store, &source, &release, err))
		return 0;
	if (err->kind != ERR_NOT_FOUND)
		return -1;
	download = store_download_open(f->store, &digest, bytes.size, err);
	assert_non_null(download);
	assert_int_equal(store_download_write(download, bytes.data, bytes.size, err), 0);
	failed = store_publish(f->store, &source, download, f->cancel, &release, err);
	store_download_free(download);
	return failed;
}

static int move(struct fixture *f, const char *tag, unsigned char manifest, unsigned char layer,
                const char *created, struct err *err)
{
	return move_by(f, tag, manifest, layer, created, NULL, err);
}

static void reopen(struct fixture *f, bool allow_rollback)
{
	struct store_settings settings = { .dir = f->dir,
		                           .limits = store_default_limits,
		                           .allow_rollback = allow_rollback };
	struct err err;

	store_close(f->store);
	f->store = store_open(&settings, &err);
	assert_non_null(f->store);
}

static void tags_that_move_backwards(void **state)
{
	static const struct {
		const char *before, *after;
		unsigned char layer; /* 1: the same content as before */
		bool refused;
	} cases[] = {
		{ "2024-12-06T12:43:14Z", "2024-12-06T12:43:13Z", 2, true },
		{ "2024-12-06T12:43:14Z", "2024-12-06T12:43:13Z", 1, false },
		{ "2024-12-06T12:43:14Z", "2024-12-06T12:43:14Z", 2, false },
		{ "2024-12-06T12:43:14Z", "2024-12-06T12:43:15Z", 2, false },
		/* By the moment, not by the text. */
		{ "2024-12-06T12:43:14Z", "2024-12-06T13:43:13+01:00", 2, true },
		{ "2024-12-06T12:43:14Z", "2024-12-06T11:43:15-01:00", 2, false },
		{ "2024-12-06T12:43:14.5Z", "2024-12-06T12:43:14.499Z", 2, true },
		/* Unknown dates accuse nobody. */
		{ "", "2024-12-06T12:43:14Z", 2, false },
		{ "2024-12-06T12:43:14Z", "", 2, false },
		{ "2024-12-06T12:43:14Z", "last week", 2, false },
		{ "", "", 2, false },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *tag = "4.5.15";
		struct err err = { .msg = "" };
		int failed;

		reopen(f, false);
		assert_int_equal(store_remove(f->store, &tag, 1, &err), 0);
		assert_int_equal(move(f, tag, 1, 1, cases[i].before, &err), 0);
		failed = move(f, tag, 2, cases[i].layer, cases[i].after, &err);
		if ((failed != 0) != cases[i].refused || (failed && err.kind != ERR_ROLLBACK))
			fail_msg("case %zu: %s", i, failed ? err.msg : "taken");
		assert_string_equal(look(f, "roar/versions.yaml"),
		                    failed || cases[i].layer == 1 ? "base" : "newer");
		if (!failed)
			continue;
		assert_non_null(strstr(err.msg, cases[i].before));
		assert_non_null(strstr(err.msg, cases[i].after));
		reopen(f, true);
		assert_int_equal(move(f, tag, 2, cases[i].layer, cases[i].after, &err), 0);
		assert_string_equal(look(f, "roar/versions.yaml"), "newer");
	}
}

static void break_release(struct fixture *f, const char *tag)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/releases/%s.mtree", f->dir, tag);
	assert_int_equal(truncate(path, 200), 0);
}

/* Another tag's date says nothing, nor does a release that is damaged. */
static void nobody_moves_backwards_but_the_tag_itself(void **state)
{
	struct fixture *f = *state;
	struct err err;

	reopen(f, false);
	assert_int_equal(move(f, "1.0.0", 1, 1, "2024-12-06T12:43:14Z", &err), 0);
	assert_int_equal(move(f, "2.0.0", 2, 2, "2023-12-06T12:43:14Z", &err), 0);
	break_release(f, "1.0.0");
	assert_int_equal(move(f, "1.0.0", 3, 2, "2020-12-06T12:43:14Z", &err), 0);
}

struct lines {
	char text[4096];
	size_t count;
};

static int add_line(void *ctx, const struct store_change *change, struct err *err)
{
	struct lines *lines = ctx;
	size_t length = strlen(lines->text);

	(void)err;
	assert_true(change->when_ms > 1700000000000);
	if (length + 64 < sizeof(lines->text))
		(void)snprintf(lines->text + length, sizeof(lines->text) - length, "%s %d>%d\n",
		               change->tag, change->had_release ? change->from.bytes[0] : -1,
		               change->has_release ? change->to.bytes[0] : -1);
	lines->count++;
	return 0;
}

static struct lines history(struct fixture *f)
{
	struct lines lines = { "", 0 };
	struct err err;

	assert_int_equal(store_history(f->store, add_line, &lines, &err), 0);
	return lines;
}

static void append(struct fixture *f, const char *text, size_t size)
{
	char path[96];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/history", f->dir);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	close(fd);
}

static void each_change_is_a_line(void **state)
{
	static const char *const tags[] = { "1.0.0", "9.9.9" };
	static const char torn[] = "2024-12-06T12:43:14.000Z 3.0.0 - sha256:12";
	struct fixture *f = *state;
	struct err err;

	assert_int_equal(history(f).count, 0);
	assert_int_equal(move(f, "1.0.0", 1, 1, "", &err), 0);
	assert_int_equal(move(f, "1.0.0", 2, 2, "", &err), 0);
	assert_int_equal(move(f, "1.0.0", 2, 2, "", &err), 0); /* healed: no change */
	assert_int_equal(move(f, "2.0.0", 3, 2, "", &err), 0);
	assert_int_equal(store_remove(f->store, tags, 2, &err), 0);
	assert_string_equal(history(f).text, "1.0.0 -1>1\n1.0.0 1>2\n2.0.0 -1>3\n1.0.0 2>-1\n");
	/* A crash tears the last line; the next one begins anew. */
	append(f, torn, sizeof(torn) - 1);
	assert_int_equal(history(f).count, 4);
	assert_int_equal(move(f, "1.0.0", 4, 2, "", &err), 0);
	assert_string_equal(history(f).text,
	                    "1.0.0 -1>1\n1.0.0 1>2\n2.0.0 -1>3\n1.0.0 2>-1\n1.0.0 -1>4\n");
	/* So does a power loss, which may leave zeros of its length. */
	append(f, "\0\0\0\0\0\0\0\0", 8);
	assert_int_equal(history(f).count, 5);
	assert_int_equal(move(f, "1.0.0", 6, 2, "", &err), 0);
	assert_int_equal(history(f).count, 6);
	assert_non_null(strstr(history(f).text, "1.0.0 4>6\n"));
	append(f, torn, sizeof(torn)); /* with its NUL */
	assert_int_equal(move(f, "1.0.0", 7, 2, "", &err), 0);
	assert_non_null(strstr(history(f).text, "1.0.0 6>7\n"));
	/* Further fields may come to be. */
	append(f,
	       "2024-12-06T12:43:14.000Z 3.0.0 - "
	       "sha256:0500000000000000000000000000000000000000000000000000000000000000 "
	       "signed-by=x\n",
	       118);
	assert_non_null(strstr(history(f).text, "3.0.0 -1>5\n"));
}

static int find_signer(void *ctx, const struct store_change *change, struct err *err)
{
	(void)err;
	*(int *)ctx = change->is_signed ? change->signer.bytes[0] : -1;
	return 0;
}

static int last_signer(struct fixture *f)
{
	int found = -2;
	struct err err;

	assert_int_equal(store_history(f->store, find_signer, &found, &err), 0);
	return found;
}

/* Lines of before this was noted, and one that was torn in it, tell of none. */
static void whose_key_signed_it(void **state)
{
	static const char torn[] =
		"2024-12-06T12:43:14.000Z 3.0.0 - "
		"sha256:0500000000000000000000000000000000000000000000000000000000000000 sha256:07";
	struct fixture *f = *state;
	const struct digest key = { .algorithm = DIGEST_SHA256, .bytes = { 7 } };
	struct err err;

	assert_int_equal(move_by(f, "1.0.0", 1, 1, "", &key, &err), 0);
	assert_int_equal(last_signer(f), 7);
	assert_int_equal(move_by(f, "1.0.0", 2, 1, "", NULL, &err), 0);
	assert_int_equal(last_signer(f), -1);
	assert_int_equal(move_by(f, "1.0.0", 3, 2, "", &key, &err), 0);
	assert_int_equal(last_signer(f), 7);
	append(f, torn, sizeof(torn) - 1);
	append(f, "\n", 1);
	assert_int_equal(last_signer(f), -1);
	assert_string_equal(history(f).text, "1.0.0 -1>1\n1.0.0 1>2\n1.0.0 2>3\n3.0.0 -1>5\n");
}

static int64_t seen(struct fixture *f, const char *tag)
{
	struct store_release release;
	struct err err;

	assert_int_equal(store_release_find(f->store, tag, &release, &err), 0);
	return release.seen_ms;
}

/* The order in which tags were pushed outlives damage, and a clock that is set back. */
static void when_a_tag_was_first_seen(void **state)
{
	struct fixture *f = *state;
	int64_t first, second;
	struct err err;

	assert_int_equal(move(f, "1.0.0", 1, 1, "", &err), 0);
	first = seen(f, "1.0.0");
	assert_int_equal(move(f, "2.0.0", 2, 2, "", &err), 0);
	second = seen(f, "2.0.0");
	assert_true(first < second);
	assert_int_equal(move(f, "1.0.0", 1, 1, "", &err), 0);
	assert_int_equal(seen(f, "1.0.0"), first);
	break_release(f, "1.0.0");
	assert_int_equal(move(f, "1.0.0", 1, 1, "", &err), 0);
	assert_int_equal(seen(f, "1.0.0"), first);
	assert_int_equal(history(f).count, 2);
	/* Another manifest, or one that it had before the last: it is news. */
	break_release(f, "1.0.0");
	assert_int_equal(move(f, "1.0.0", 3, 1, "", &err), 0);
	assert_true(seen(f, "1.0.0") > second);
	second = seen(f, "1.0.0");
	assert_int_equal(move(f, "1.0.0", 1, 1, "", &err), 0);
	assert_true(seen(f, "1.0.0") > second);
	assert_string_equal(history(f).text, "1.0.0 -1>1\n2.0.0 -1>2\n1.0.0 -1>3\n1.0.0 3>1\n");
	/* The one before was seen an hour from now, before the clock was set back. */
	second = seen(f, "1.0.0") + 3600 * 1000;
	for (size_t i = 0; i < f->store->known_count; i++)
		f->store->known[i].info.seen_ms = second;
	assert_int_equal(move(f, "3.0.0", 4, 2, "", &err), 0);
	assert_true(seen(f, "3.0.0") > second);
}

static void the_history_is_bounded(void **state)
{
	static char line[1024];
	struct fixture *f = *state;
	struct stat st;
	char path[96];
	struct err err;

	assert_int_equal(move(f, "1.0.0", 1, 1, "", &err), 0);
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (int i = 0; i < 1024; i++)
		append(f, line, sizeof(line));
	assert_int_equal(move(f, "1.0.0", 2, 1, "", &err), 0);
	(void)snprintf(path, sizeof(path), "%s/history", f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 1024);
	(void)strcat(path, ".1");
	assert_int_equal(stat(path, &st), 0);
	assert_string_equal(history(f).text, "1.0.0 -1>1\n1.0.0 1>2\n");
}

/* It is no reason to refuse a release. */
static void a_history_that_can_not_be_written(void **state)
{
	struct fixture *f = *state;
	char path[96];
	struct err err;

	(void)snprintf(path, sizeof(path), "%s/history", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(move(f, "1.0.0", 1, 1, "", &err), 0);
	assert_int_equal(f->events[STORE_HISTORY_LOST], 1);
	assert_string_equal(look(f, "roar/versions.yaml"), "base");
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tags_that_move_backwards, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_moves_backwards_but_the_tag_itself, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(each_change_is_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(whose_key_signed_it, setup, teardown),
		cmocka_unit_test_setup_teardown(when_a_tag_was_first_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(the_history_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(a_history_that_can_not_be_written, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
