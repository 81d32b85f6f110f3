/* Reading a store while its writer replaces releases and sweeps objects. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "harness.h"

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
		cmocka_unit_test_setup_teardown(a_reader_leaves_no_trace, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
