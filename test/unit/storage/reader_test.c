/* Reading a store while its writer replaces releases and sweeps objects. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "harness.h"
#include "rot.h"
#include "storage/export.h"

static const struct item one[] = { { "a", AE_IFREG, "one's a", false },
	                           { "b", AE_IFREG, "one's b", false },
	                           { NULL, 0, NULL, false } };
static const struct item two[] = { { "a", AE_IFREG, "two's a", false },
	                           { "b", AE_IFREG, "two's b", false },
	                           { NULL, 0, NULL, false } };

/* A reader, and what the writer does at its first step. */
struct reading {
	struct fixture *f;
	struct store *store;
	bool replaces, is_done;
	unsigned flaws;
	char flaw[256];
};

static void on_progress(void *ctx, uint64_t done, uint64_t all)
{
	struct reading *reading = ctx;
	struct err err;

	assert_true(done <= all);
	if (reading->is_done || !reading->replaces)
		return;
	reading->is_done = true;
	assert_int_equal(publish(reading->f, "1.0.0", two, &err), 0); /* and sweeps */
}

static void on_flaw(void *ctx, const char *tag, const char *path, const char *what)
{
	struct reading *reading = ctx;

	reading->flaws++;
	(void)snprintf(reading->flaw, sizeof(reading->flaw), "%.40s/%.40s: %.100s", tag, path,
	               what);
}

static struct reading open_reader(struct fixture *f, bool replaces)
{
	const struct store_settings settings = { .dir = f->dir, .limits = store_default_limits };
	struct reading reading = { .f = f, .replaces = replaces };
	struct err err = { .msg = "" };

	reading.store = store_open_reader(&settings, &err);
	if (!reading.store)
		fail_msg("%s", err.msg);
	return reading;
}

static struct store_verdict verify(struct reading *reading)
{
	const struct store_verify_observer observer = { on_flaw, on_progress, reading };
	struct store_verdict verdict = { .flaws = 99 };
	struct err err = { .msg = "" };

	if (store_verify(reading->store, &observer, &verdict, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(verdict.flaws, reading->flaws);
	return verdict;
}

static void what_was_replaced_is_no_flaw(void **state)
{
	struct fixture *f = *state;
	struct reading reading;
	struct store_verdict verdict;
	struct err err;

	assert_int_equal(publish(f, "1.0.0", one, &err), 0);
	reading = open_reader(f, true);
	verdict = verify(&reading);
	assert_true(reading.is_done);
	assert_int_equal(verdict.flaws, 0);
	assert_int_equal(verdict.releases, 1);
	assert_int_equal(verdict.objects, 2);
	assert_int_equal(verdict.orphans, 2); /* those of the new release */
	store_close(reading.store);
}

static void damage_object(struct fixture *f, const char *path)
{
	struct store_view *view = store_view_get(f->store);
	const struct store_entry *entry = store_view_find(view, path, strlen(path));
	const struct digest content = store_content_digest(entry);
	char hex[DIGEST_TEXT_SIZE], name[256];

	(void)digest_hex(&content, hex);
	store_view_put(view);
	(void)snprintf(name, sizeof(name), "%s/objects/%.2s/%s", f->dir, hex, hex + 2);
	assert_int_equal(truncate(name, 3), 0);
}

static void what_is_damaged_is_one(void **state)
{
	struct fixture *f = *state;
	struct reading reading;
	struct err err;

	assert_int_equal(publish(f, "1.0.0", one, &err), 0);
	damage_object(f, "b");
	reading = open_reader(f, false);
	assert_int_equal(verify(&reading).flaws, 1);
	assert_memory_equal(reading.flaw, "1.0.0/b: ", 9);
	/* A reader puts nothing aside and tells nobody. */
	assert_int_equal(count_in(f, "objects"), 2);
	store_close(reading.store);
	/* Replaced meanwhile, it is of no interest. */
	reading = open_reader(f, true);
	assert_int_equal(verify(&reading).flaws, 0);
	store_close(reading.store);
}

static void a_release_that_is_replaced_while_it_is_exported(void **state)
{
	struct fixture *f = *state;
	struct reading reading;
	struct store_export_observer observer = { on_progress, &reading };
	struct store_view *view;
	char path[96];
	struct err err;

	assert_int_equal(publish(f, "1.0.0", one, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/out", f->dir);
	reading = open_reader(f, true);
	view = store_view_of(reading.store, "1.0.0", &err);
	assert_non_null(view);
	assert_int_equal(store_export_folder(reading.store, view, path, &observer, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_int_equal(access(path, F_OK), -1);
	store_view_put(view);
	store_close(reading.store);
	reading = open_reader(f, false);
	view = store_view_of(reading.store, "1.0.0", &err);
	assert_non_null(view);
	assert_int_equal(store_export_folder(reading.store, view, path, &observer, &err), 0);
	assert_int_equal(count_files(path), 2);
	store_view_put(view);
	store_close(reading.store);
}

/* Another size in its file is a flaw of the release, and none of the object. */
static void a_damaged_release_is_one(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
	struct reading reading;
	char path[96], *size;
	struct err err;

	assert_int_equal(publish(f, "1.0.0", one, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/releases/1.0.0.mtree", f->dir);
	assert_int_equal(io_read_file(AT_FDCWD, path, &text, &err), 0);
	size = strstr(buf_text(&text), " size=7 ");
	assert_non_null(size);
	size[6] = '6';
	assert_int_equal(io_replace_file(AT_FDCWD, path, text.data, text.size, 0640, &err), 0);
	reading = open_reader(f, false);
	assert_int_equal(verify(&reading).flaws, 1);
	assert_memory_equal(reading.flaw, "1.0.0/: ", 8);
	store_close(reading.store);
}

/* What comes out for a file of the store, in out; the result of exporting it. */
static int export_file(struct fixture *f, struct reading *reading, const char *name,
                       struct buf *out, struct err *err)
{
	struct store_view *view = store_view_get(reading->store);
	const struct store_entry *entry = store_view_find(view, name, strlen(name));
	char path[96];
	int fd, failed;

	assert_non_null(entry);
	(void)snprintf(path, sizeof(path), "%s/file", f->dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	failed = store_export_file(reading->store, entry, fd, err);
	assert_int_equal(close(fd), 0);
	buf_clear(out);
	assert_int_equal(io_read_file(AT_FDCWD, path, out, &(struct err){ .msg = "" }), 0);
	assert_int_equal(unlink(path), 0);
	store_view_put(view);
	return failed;
}

/* Checked as a whole before its first byte goes out, with or without the list of its blocks. */
static void large_files(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf out = BUF_INIT(64 << 20);
	char *large = letters(LARGE_BYTES);
	struct reading reading;
	struct err err;

	publish_rotten(f, "1.0.0", large);
	for (int i = 0; i < 2; i++) {
		reading = open_reader(f, false);
		assert_int_equal(export_file(f, &reading, "large", &out, &err), 0);
		assert_int_equal(out.size, LARGE_BYTES);
		assert_memory_equal(out.data, large, LARGE_BYTES);
		store_close(reading.store);
		if (!i)
			assert_int_equal(unlink(object_path(f, "blocks", "large")), 0);
		assert_int_equal(count_in(f, "blocks"), 0);
	}
	/* Its last byte is wrong: the first does not go out, and the writer finds out by itself. */
	flip(object_path(f, "objects", "large"), LARGE_BYTES - 1);
	reading = open_reader(f, false);
	assert_int_equal(export_file(f, &reading, "large", &out, &err), -1);
	assert_int_equal(err.kind, ERR_DIGEST);
	assert_int_equal(out.size, 0);
	assert_int_equal(count_in(f, "objects"), 4);
	assert_int_equal(count_in(f, "quarantine"), 0);
	store_close(reading.store);
	assert_int_equal(unlink(object_path(f, "objects", "large")), 0);
	reading = open_reader(f, false);
	assert_int_equal(export_file(f, &reading, "large", &out, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	store_close(reading.store);
	free(large);
}

/* A twin is read like all objects, and its file is given out all the same. */
static void a_damaged_twin_is_one(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
	char text[4001];
	const struct item items[] = { { "a", AE_IFREG, text, false }, { NULL, 0, NULL, false } };
	struct reading reading;
	struct store_verdict verdict;
	struct store_view *view;
	struct digest twin;
	char hex[DIGEST_TEXT_SIZE], name[256];
	struct err err;

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(publish(f, "1.0.0", items, &err), 0);
	view = store_view_get(f->store);
	twin = store_twin_digest(store_view_find(view, "a", 1));
	store_view_put(view);
	reading = open_reader(f, false);
	verdict = verify(&reading);
	assert_int_equal(verdict.objects, 2);
	assert_int_equal(verdict.flaws + verdict.orphans, 0);
	(void)digest_hex(&twin, hex);
	(void)snprintf(name, sizeof(name), "%s/objects/%.2s/%s", f->dir, hex, hex + 2);
	flip(name, 12);
	assert_int_equal(verify(&reading).flaws, 1);
	assert_memory_equal(reading.flaw, "1.0.0/a: its gzip form: ", 24);
	assert_int_equal(export_file(f, &reading, "a", &out, &err), 0);
	assert_string_equal(buf_text(&out), text);
	assert_int_equal(count_in(f, "quarantine"), 0);
	store_close(reading.store);
}

/* No lock, no folder and no file is made or emptied. */
static void a_reader_leaves_no_trace(void **state)
{
	const struct store_settings nowhere = { .dir = "/nonexistent" };
	struct fixture *f = *state;
	struct reading reading;
	struct err err;
	char path[96];
	int fd;

	assert_null(store_open_reader(&nowhere, &err));
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	(void)snprintf(path, sizeof(path), "%s/tmp/under-way", f->dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	reading = open_reader(f, false);
	assert_int_equal(access(path, F_OK), 0);
	store_close(reading.store);
	/* The writer's lock is still its own. */
	assert_null(store_open(&(struct store_settings){ .dir = f->dir }, &err));
	assert_int_equal(err.kind, ERR_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_replaced_is_no_flaw, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_damaged_is_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_release_that_is_replaced_while_it_is_exported,
		                                setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_release_is_one, setup, teardown),
		cmocka_unit_test_setup_teardown(large_files, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_twin_is_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reader_leaves_no_trace, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
