/* Scrubbing: it finds all that is wrong, and nothing else. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "rot.h"

/* Stands before libc's: the reads of this many bytes fail. */
atomic_size_t unreadable;

ssize_t pread(int fd, void *bytes, size_t size, off_t at)
{
	if (size && size == atomic_load(&unreadable)) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, bytes, size, at);
}

static struct store_scrub *new_scrub(struct fixture *f)
{
	struct err err;
	struct store_scrub *scrub = store_scrub_new(f->store, &err);

	assert_non_null(scrub);
	return scrub;
}

static struct store_scrub_progress step(struct store_scrub *scrub)
{
	struct store_scrub_progress progress;
	struct err err = { .msg = "" };

	if (store_scrub_step(scrub, false, &progress, &err))
		fail_msg("%s", err.msg);
	assert_true(progress.bytes <= 1 << 20);
	assert_true(progress.ppm <= 1000000);
	return progress;
}

/* Whole passes; bytes of the last. */
static uint64_t pass(struct fixture *f, unsigned count)
{
	struct store_scrub *scrub = new_scrub(f);
	uint64_t bytes = 0;

	while (count--) {
		struct store_scrub_progress progress;
		uint32_t ppm = 0;

		bytes = 0;
		do {
			progress = step(scrub);
			bytes += progress.bytes;
			assert_true(progress.has_ended || progress.ppm >= ppm);
			ppm = progress.ppm;
		} while (!progress.has_ended);
	}
	store_scrub_free(scrub);
	return bytes;
}

static void a_whole_store_stays_as_it_is(void **state)
{
	struct fixture *f = *state;
	char *large = letters(LARGE_BYTES);
	struct store_counters counters;

	publish_rotten(f, "1.0.0", large);
	assert_int_equal(pass(f, 1), LARGE_BYTES + 4 + 9);
	for (size_t i = 0; i < sizeof(f->events) / sizeof(f->events[0]); i++)
		assert_int_equal(f->events[i], 0);
	store_count(f->store, &counters);
	assert_int_equal(counters.scrub_objects, 4);
	assert_int_equal(counters.scrub_bytes, LARGE_BYTES + 4 + 9);
	assert_int_equal(counters.scrub_passes, 1);
	assert_true(counters.scrub_passed_at > 1700000000);
	free(large);
}

static void damage_is_found(void **state)
{
	static const struct {
		const char *file;
		off_t at; /* -1: removed; -2: cut off */
	} cases[] = { { "small", 0 },
		      { "small", -1 },
		      { "large", 0 },
		      { "large", 2 << 20 },
		      { "large", LARGE_BYTES - 1 },
		      { "large", -1 },
		      { "large", -2 },
		      { "empty", -1 } };
	struct fixture *f = *state;
	char *large = letters(LARGE_BYTES);

	publish_rotten(f, "1.0.0", large);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *path = object_path(f, "objects", cases[i].file);

		if (cases[i].at == -1)
			assert_int_equal(unlink(path), 0);
		else if (cases[i].at == -2)
			assert_int_equal(truncate(path, 100), 0);
		else
			flip(path, cases[i].at);
		assert_false(wants_healing(f, "1.0.0"));
		(void)pass(f, 2);
		assert_int_equal(f->events[STORE_OBJECT_DAMAGED], i + 1);
		assert_true(wants_healing(f, "1.0.0"));
		publish_rotten(f, "1.0.0", large);
		assert_int_equal(f->events[STORE_OBJECT_HEALED], i + 1);
		assert_false(wants_healing(f, "1.0.0"));
	}
	(void)pass(f, 1);
	assert_int_equal(f->events[STORE_OBJECT_DAMAGED], sizeof(cases) / sizeof(cases[0]));
	free(large);
}

/* As a disk that loses bits does it: without another time. */
static void rot_release(struct fixture *f)
{
	struct timespec times[2];
	struct stat st;
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/releases/1.0.0.mtree", f->dir);
	assert_int_equal(stat(path, &st), 0);
	flip(path, 40);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* By a pass, or by a sweep, which does nothing then; it is fetched again. */
static void a_release_file_that_rots_is_told(void **state)
{
	struct fixture *f = *state;
	struct err err;

	for (int by_sweep = 0; by_sweep < 2; by_sweep++) {
		assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
		assert_false(store_collect_was_held(f->store));
		rot_release(f);
		assert_false(wants_healing(f, "1.0.0"));
		f->events[STORE_RELEASE_BROKEN] = 0;
		if (by_sweep) {
			first_sweep(f);
			assert_true(store_collect_was_held(f->store));
			assert_int_equal(count_in(f, "objects"), 4);
		} else {
			(void)pass(f, 1);
			assert_int_equal(f->events[STORE_RELEASE_BROKEN], 1);
		}
		assert_string_equal(look(f, "roar/only-base"), "old");
		assert_true(wants_healing(f, "1.0.0"));
		assert_true(f->events[STORE_RELEASE_BROKEN] > 0);
		assert_int_equal(publish(f, "1.0.0", newer_items, &err), 0);
		assert_false(wants_healing(f, "1.0.0"));
		assert_false(store_collect_was_held(f->store));
		assert_int_equal(count_in(f, "objects"), 1);
	}
}

/* Another size in it puts no object aside. */
static void a_damaged_release_says_nothing_of_its_objects(void **state)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
	struct fixture *f = *state;
	char path[96], *size;
	struct err err;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/releases/1.0.0.mtree", f->dir);
	assert_int_equal(io_read_file(AT_FDCWD, path, &text, &err), 0);
	size = strstr(buf_text(&text), " size=3 ");
	assert_non_null(size);
	size[6] = '2';
	assert_int_equal(io_replace_file(AT_FDCWD, path, text.data, text.size, 0640, &err), 0);
	(void)pass(f, 1);
	assert_int_equal(f->events[STORE_RELEASE_BROKEN], 1);
	assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 0);
	assert_int_equal(count_in(f, "quarantine"), 0);
	assert_string_equal(look(f, "roar/only-base"), "old");
}

static void what_could_not_be_read_is_put_back(void **state)
{
	struct fixture *f = *state;
	struct err err;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	atomic_store(&unreadable, 3); /* "old" and "odd" */
	assert_string_equal(look(f, "roar/only-base"), "<digest>");
	(void)pass(f, 1);
	assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 2);
	assert_int_equal(count_in(f, "quarantine"), 2);
	/* Also in the next process, in which it is just missing. */
	store_close(f->store);
	open_store(f);
	first_sweep(f);
	assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 4);
	assert_int_equal(count_in(f, "quarantine"), 2);
	assert_true(wants_healing(f, "1.0.0"));
	atomic_store(&unreadable, 0);
	(void)pass(f, 1);
	assert_int_equal(f->events[STORE_OBJECT_HEALED], 2);
	assert_int_equal(count_in(f, "quarantine"), 0);
	assert_string_equal(look(f, "roar/only-base"), "old");
	assert_false(wants_healing(f, "1.0.0"));
	/* What was wrong stays where it is. */
	flip(object_path(f, "objects", "roar/only-base"), 0);
	(void)pass(f, 2);
	assert_int_equal(f->events[STORE_OBJECT_HEALED], 2);
	assert_int_equal(count_in(f, "quarantine"), 1);
}

/* A request that can't read it puts it aside while a pass is in the middle of it. */
static void what_is_put_aside_meanwhile_stays_there(void **state)
{
	struct fixture *f = *state;
	char *large = letters(LARGE_BYTES), byte;
	struct store_scrub *scrub = new_scrub(f);
	struct store_view *view;
	struct store_content content;
	size_t read;
	struct err err = { .msg = "" };

	publish_rotten(f, "1.0.0", large);
	while (step(scrub).bytes < 1 << 20) {
	}
	view = store_view_get(f->store);
	assert_int_equal(
		store_content_open(f->store, store_view_find(view, "large", 5), &content, &err), 0);
	atomic_store(&unreadable, STORE_BLOCK_BYTES);
	assert_int_equal(store_content_read(&content, 0, &byte, 1, &read, &err), -1);
	atomic_store(&unreadable, 0);
	store_content_release(&content);
	store_view_put(view);
	assert_int_equal(count_in(f, "quarantine"), 1);
	/* At the pass' end it is found whole there. */
	while (!step(scrub).has_ended) {
	}
	assert_int_equal(count_in(f, "quarantine"), 0);
	assert_int_equal(access(object_path(f, "objects", "large"), F_OK), 0);
	assert_int_equal(f->events[STORE_OBJECT_HEALED], 1);
	store_scrub_free(scrub);
	free(large);
}

static void what_is_swept_meanwhile_is_no_damage(void **state)
{
	static const char *const tags[] = { "1.0.0" };
	struct fixture *f = *state;
	char *large = letters(LARGE_BYTES);
	struct store_scrub *scrub;
	uint64_t swept;
	struct err err;

	/* Swept before each of a pass' steps in turn. */
	for (unsigned at = 0; at < 1000; at += at < 4 ? 1 : 97) {
		publish_rotten(f, "1.0.0", large);
		scrub = new_scrub(f);
		for (unsigned i = 0; i < at; i++)
			(void)step(scrub);
		assert_int_equal(store_remove(f->store, tags, 1, &err), 0);
		assert_int_equal(store_collect(f->store, &swept, &err), 0);
		while (!step(scrub).has_ended)
			;
		store_scrub_free(scrub);
		assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 0);
		assert_int_equal(count_in(f, "objects"), 0);
	}
	free(large);
}

static void a_pass_goes_on_after_a_restart(void **state)
{
	struct fixture *f = *state;
	struct store_scrub *scrub = new_scrub(f);
	struct store_counters counters;
	uint32_t before, after;
	char path[80];

	while ((before = step(scrub).ppm) < 500000)
		;
	store_scrub_free(scrub);
	(void)pass(f, 1);
	store_close(f->store);
	open_store(f);
	scrub = new_scrub(f);
	store_count(f->store, &counters);
	assert_true(counters.scrub_passed_at > 1700000000);
	assert_int_equal(counters.scrub_passes, 0);
	while ((before = step(scrub).ppm) < 500000)
		;
	store_scrub_free(scrub);
	scrub = new_scrub(f);
	after = step(scrub).ppm;
	assert_true(after + 5000 > before && after <= before);
	store_scrub_free(scrub);
	/* A position that is none: from the start. */
	(void)snprintf(path, sizeof(path), "%s/scrub", f->dir);
	assert_int_equal(truncate(path, 3), 0);
	scrub = new_scrub(f);
	assert_int_equal(step(scrub).ppm, 0);
	store_scrub_free(scrub);
}

struct scrubbing {
	struct fixture *f;
	atomic_bool is_over;
};

static void *scrub_on(void *ctx)
{
	struct scrubbing *scrubbing = ctx;

	while (!atomic_load(&scrubbing->is_over))
		(void)pass(scrubbing->f, 1);
	return NULL;
}

static void *read_on(void *ctx)
{
	struct scrubbing *scrubbing = ctx;

	while (!atomic_load(&scrubbing->is_over)) {
		struct store_view *view = store_view_get(scrubbing->f->store);
		const struct store_entry *entry = store_view_find(view, "roar/versions.yaml", 18);
		struct store_content content;
		struct err err;

		if (entry && !store_content_open(scrubbing->f->store, entry, &content, &err)) {
			assert_true(!memcmp(content.bytes, "base", 4) ||
			            !memcmp(content.bytes, "newer", 5));
			store_content_release(&content);
		}
		store_view_put(view);
	}
	return NULL;
}

static void beside_publishing_and_serving(void **state)
{
	struct fixture *f = *state;
	struct scrubbing scrubbing = { .f = f };
	pthread_t threads[3];
	struct err err;

	store_close(f->store);
	f->cache_bytes = 1 << 20;
	open_store(f);
	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	assert_int_equal(pthread_create(&threads[0], NULL, scrub_on, &scrubbing), 0);
	for (int i = 1; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, &scrubbing), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(publish(f, "1.0.0", i % 2 ? base_items : newer_items, &err), 0);
	atomic_store(&scrubbing.is_over, true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 0);
	assert_int_equal(count_in(f, "quarantine"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_whole_store_stays_as_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(a_release_file_that_rots_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_release_says_nothing_of_its_objects,
		                                setup, teardown),
		cmocka_unit_test_setup_teardown(what_could_not_be_read_is_put_back, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(what_is_put_aside_meanwhile_stays_there, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(what_is_swept_meanwhile_is_no_damage, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_pass_goes_on_after_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(beside_publishing_and_serving, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
