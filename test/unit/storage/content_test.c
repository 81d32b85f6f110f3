/* Contents: whatever happens to an object on disk, no wrong byte of it is given out. */
#include <errno.h>
#include <sys/syscall.h>

#include "rot.h"

/* Stands before libc's: reading fails while read_errno is set. */
int read_errno;

ssize_t pread(int fd, void *bytes, size_t size, off_t at)
{
	if (read_errno) {
		errno = read_errno;
		return -1;
	}
	return syscall(SYS_pread64, fd, bytes, size, at);
}

/* So does this: just before an object is put aside, another comes into its place. */
const char *good_object; /* a copy of it, or NULL */

int renameat(int from, const char *old, int to, const char *new)
{
	const char *good = good_object;

	if (good && strlen(new) == 64) {
		good_object = NULL;
		(void)syscall(SYS_renameat2, AT_FDCWD, good, from, old, 0);
	}
	return (int)syscall(SYS_renameat2, from, old, to, new, 0);
}

enum { BLOCK = STORE_BLOCK_BYTES };

static ino_t inode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void reopen(struct fixture *f, size_t cache_bytes)
{
	store_close(f->store);
	f->cache_bytes = cache_bytes;
	open_store(f);
}

/* The next publish heals, and writes nothing but what was damaged. */
static void assert_healing(struct fixture *f, const char *large, unsigned damaged)
{
	ino_t other = inode_of(object_path(f, "objects", "other"));
	unsigned healed = f->events[STORE_OBJECT_HEALED];
	struct store_counters counters;

	assert_true(wants_healing(f, "1.0.0"));
	store_count(f->store, &counters);
	assert_int_equal(counters.damaged, damaged);
	publish_rotten(f, "1.0.0", large);
	assert_false(wants_healing(f, "1.0.0"));
	assert_int_equal(f->events[STORE_OBJECT_HEALED], healed + damaged);
	assert_int_equal(count_in(f, "quarantine"), 0);
	assert_true(inode_of(object_path(f, "objects", "other")) == other);
	store_count(f->store, &counters);
	assert_int_equal(counters.damaged, 0);
}

static void a_block_that_rots_is_not_given_out(void **state)
{
	static const struct {
		size_t at, good;
		size_t cache_bytes;
	} cases[] = {
		{ 0, 0, 0 },
		{ BLOCK - 1, 0, 0 },
		{ BLOCK, BLOCK, 0 },
		{ 11 * BLOCK + 77, 11 * BLOCK, 0 },
		{ LARGE_BYTES - 1, LARGE_BYTES / BLOCK * BLOCK, 0 },
		{ 11 * BLOCK + 77, 11 * BLOCK, 16 << 20 },
	};
	struct fixture *f = *state;
	char *large = letters(LARGE_BYTES);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store_content content, again;
		struct err err;

		reopen(f, cases[i].cache_bytes);
		publish_rotten(f, "1.0.0", large);
		assert_int_equal(open_file(f, "large", &content, &err), 0);
		assert_null(content.bytes);
		flip(object_path(f, "objects", "large"), (off_t)cases[i].at);
		f->events[STORE_OBJECT_DAMAGED] = 0;
		assert_int_equal(read_large(&content, large, &err), cases[i].good);
		assert_int_equal(err.kind, ERR_DIGEST);
		assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 1);
		assert_int_equal(open_file(f, "large", &again, &err), -1);
		assert_int_equal(err.kind, ERR_DIGEST);
		assert_string_equal(look(f, "small"), "text");
		assert_int_equal(count_in(f, "quarantine"), 1);
		assert_healing(f, large, 1);
		/* Who still reads the old one does no harm to the new one. */
		assert_int_equal(read_large(&content, large, &err), cases[i].good);
		assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 1);
		store_content_release(&content);
		assert_int_equal(open_file(f, "large", &content, &err), 0);
		assert_int_equal(read_large(&content, large, &err), LARGE_BYTES);
		store_content_release(&content);
	}
	free(large);
}

static void what_is_cached_is_served_from_memory(void **state)
{
	struct fixture *f = *state;
	char *large = letters(LARGE_BYTES);
	struct store_content content;
	struct store_counters counters;
	struct err err;

	reopen(f, 16 << 20);
	publish_rotten(f, "1.0.0", large);
	assert_int_equal(open_file(f, "large", &content, &err), 0);
	assert_int_equal(read_large(&content, large, &err), LARGE_BYTES);
	assert_string_equal(look(f, "small"), "text");
	store_count(f->store, &counters);
	assert_true(counters.cache_bytes > LARGE_BYTES);
	assert_int_equal(unlink(object_path(f, "objects", "small")), 0);
	flip(object_path(f, "objects", "large"), BLOCK);
	assert_string_equal(look(f, "small"), "text");
	assert_int_equal(read_large(&content, large, &err), LARGE_BYTES);
	store_content_release(&content);
	store_count(f->store, &counters);
	assert_int_equal(counters.damaged_total, 0);
	assert_true(counters.cache_hits > LARGE_BYTES / BLOCK);
	free(large);
}

static void cut_off(const char *path)
{
	assert_int_equal(truncate(path, 1), 0);
}

static void grow(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size + 1), 0);
}

static void remove_file(const char *path)
{
	assert_int_equal(unlink(path), 0);
}

static void make_folder(const char *path)
{
	remove_file(path);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void make_fifo(const char *path)
{
	remove_file(path);
	assert_int_equal(mkfifo(path, 0644), 0);
}

static void make_link(const char *path)
{
	remove_file(path);
	assert_int_equal(symlink("/etc/hostname", path), 0);
}

static void remove_fan_out(const char *path)
{
	char folder[256];

	remove_file(path);
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
	(void)rmdir(folder); /* unless another object is in it */
}

static void every_kind_of_damage(void **state)
{
	static void (*const kinds[])(const char *path) = {
		cut_off, grow, remove_file, make_folder, make_fifo, make_link, remove_fan_out,
	};
	static const char *const files[] = { "small", "large" };
	struct fixture *f = *state;
	char *large = letters(LARGE_BYTES);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct store_content content;
		struct err err;

		reopen(f, i % 2 << 20);
		publish_rotten(f, "1.0.0", large);
		for (size_t j = 0; j < 2; j++) {
			unsigned told = f->events[STORE_OBJECT_DAMAGED];

			kinds[i](object_path(f, "objects", files[j]));
			for (int again = 0; again < 2; again++) {
				assert_int_equal(open_file(f, files[j], &content, &err), -1);
				assert_int_equal(err.kind, ERR_DIGEST);
			}
			assert_int_equal(f->events[STORE_OBJECT_DAMAGED], told + 1);
		}
		/* Whatever comes to lie there meanwhile is no hindrance. */
		if (kinds[i] == remove_file)
			assert_int_equal(mkdir(object_path(f, "objects", "small"), 0755), 0);
		assert_healing(f, large, 2);
		assert_string_equal(look(f, "small"), "text");
		assert_int_equal(open_file(f, "large", &content, &err), 0);
		assert_int_equal(read_large(&content, large, &err), LARGE_BYTES);
		store_content_release(&content);
	}
	free(large);
}

static void what_the_disk_can_not_read(void **state)
{
	static const struct {
		int sys;
		bool is_damage;
	} cases[] = { { EIO, true }, { EUCLEAN, true }, { ENOMEM, false }, { ESTALE, false } };
	struct fixture *f = *state;
	char *large = letters(LARGE_BYTES);
	struct store_content content;
	struct err err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		publish_rotten(f, "1.0.0", large);
		assert_int_equal(open_file(f, "large", &content, &err), 0);
		read_errno = cases[i].sys;
		assert_int_equal(read_large(&content, large, &err), 0);
		assert_int_equal(err.kind, cases[i].is_damage ? ERR_DIGEST : ERR_IO);
		assert_string_equal(look(f, "small"), cases[i].is_damage ? "<digest>" : "<error>");
		read_errno = 0;
		store_content_release(&content);
		assert_int_equal(wants_healing(f, "1.0.0"), cases[i].is_damage);
		if (cases[i].is_damage)
			assert_healing(f, large, 2);
		assert_string_equal(look(f, "small"), "text");
	}
	free(large);
}

/* NFS says so of an open file that was removed from another host; the writer has none such. */
static void what_a_reader_finds_gone_was_swept(void **state)
{
	static const char *const files[] = { "small", "large" };
	struct fixture *f = *state;
	const struct store_settings settings = { .dir = f->dir, .limits = store_default_limits };
	char *large = letters(LARGE_BYTES);
	struct store *writer = f->store;
	struct store_content content;
	struct err err;

	publish_rotten(f, "1.0.0", large);
	f->store = store_open_reader(&settings, &err);
	assert_non_null(f->store);
	for (size_t i = 0; i < 2; i++) {
		read_errno = ESTALE;
		assert_int_equal(open_file(f, files[i], &content, &err), -1);
		read_errno = 0;
		assert_int_equal(err.kind, ERR_NOT_FOUND);
		assert_int_equal(open_file(f, files[i], &content, &err), 0);
		store_content_release(&content);
	}
	store_close(f->store);
	f->store = writer;
	free(large);
}

static void copy_file(const char *from, const char *to)
{
	CLEANUP(buf_release) struct buf bytes = BUF_INIT(LARGE_BYTES);
	struct err err;

	assert_int_equal(io_read_file(AT_FDCWD, from, &bytes, &err), 0);
	assert_int_equal(io_replace_file(AT_FDCWD, to, bytes.data, bytes.size, 0640, &err), 0);
}

/* What the sync thread writes while a request finds that there is none, or a wrong one. */
static void what_comes_meanwhile_is_not_put_aside(void **state)
{
	enum { MISSING, SHORT, WRONG, CASES };
	struct fixture *f = *state;
	char *large = letters(LARGE_BYTES);

	publish_rotten(f, "1.0.0", large);
	for (int i = 0; i < CASES; i++) {
		const char *object = object_path(f, "objects", "small");
		char good[128];

		(void)snprintf(good, sizeof(good), "%s/good", f->dir);
		copy_file(object, good);
		if (i == MISSING)
			remove_file(object);
		else if (i == SHORT)
			cut_off(object);
		else
			flip(object, 1);
		good_object = good;
		assert_string_equal(look(f, "small"), "<digest>");
		assert_null(good_object);
		assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 0);
		assert_int_equal(count_in(f, "quarantine"), 0);
		assert_string_equal(look(f, "small"), "text");
		assert_false(wants_healing(f, "1.0.0"));
	}
	free(large);
}

/* Steps until the lists that were missed are made. */
static void make_lists(struct fixture *f)
{
	struct store_scrub_progress progress = { .is_urgent = true };
	struct err err;
	struct store_scrub *scrub = store_scrub_new(f->store, &err);

	assert_non_null(scrub);
	assert_true(store_scrub_is_wanted(f->store));
	while (progress.is_urgent)
		assert_int_equal(store_scrub_step(scrub, true, &progress, &err), 0);
	assert_false(store_scrub_is_wanted(f->store));
	store_scrub_free(scrub);
}

static void a_missing_list_is_made_anew(void **state)
{
	static const struct {
		off_t flip_at; /* -1: the list is missing; -2: cut off */
	} cases[] = { { -1 }, { -2 }, { 0 }, { 90 }, { 100 }, { 500 } };
	struct fixture *f = *state;
	char *large = letters(LARGE_BYTES);
	struct store_content content;
	struct err err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *path;

		publish_rotten(f, "1.0.0", large);
		path = object_path(f, "blocks", "large");
		if (cases[i].flip_at == -1)
			remove_file(path);
		else if (cases[i].flip_at == -2)
			cut_off(path);
		else
			flip(path, cases[i].flip_at);
		assert_int_equal(open_file(f, "large", &content, &err), -1);
		assert_int_equal(err.kind, ERR_NOT_FOUND);
		assert_false(wants_healing(f, "1.0.0"));
		make_lists(f);
		assert_int_equal(f->events[STORE_HASHES_MADE], i + 1);
		assert_int_equal(open_file(f, "large", &content, &err), 0);
		assert_int_equal(read_large(&content, large, &err), LARGE_BYTES);
		store_content_release(&content);
	}
	/* No list is made from an object that is damaged itself. */
	remove_file(object_path(f, "blocks", "large"));
	flip(object_path(f, "objects", "large"), 2 * BLOCK);
	assert_int_equal(open_file(f, "large", &content, &err), -1);
	make_lists(f);
	assert_int_equal(f->events[STORE_HASHES_MADE], sizeof(cases) / sizeof(cases[0]));
	assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 1);
	assert_int_equal(count_in(f, "blocks"), 0);
	assert_healing(f, large, 1);
	assert_int_equal(open_file(f, "large", &content, &err), 0);
	store_content_release(&content);
	free(large);
}

static void lists_are_swept_with_their_objects(void **state)
{
	static const char *const tags[] = { "1.0.0" };
	struct fixture *f = *state;
	char *large = letters(LARGE_BYTES);
	struct store_counters counters;
	uint64_t swept;
	struct err err;

	publish_rotten(f, "1.0.0", large);
	assert_int_equal(count_in(f, "blocks"), 1);
	store_count(f->store, &counters);
	assert_int_equal(counters.objects, 4);
	flip(object_path(f, "objects", "small"), 0);
	assert_string_equal(look(f, "small"), "<digest>");
	assert_int_equal(count_in(f, "quarantine"), 1);
	assert_int_equal(store_remove(f->store, tags, 1, &err), 0);
	assert_int_equal(store_collect(f->store, &swept, &err), 0);
	assert_int_equal(count_in(f, "objects") + count_in(f, "blocks") + count_in(f, "quarantine"),
	                 0);
	store_count(f->store, &counters);
	assert_int_equal(counters.objects + counters.damaged, 0);
	free(large);
}

/* Another tag with the same layer: what is damaged is not taken over. */
static void damage_is_not_republished(void **state)
{
	struct fixture *f = *state;
	char *large = letters(LARGE_BYTES);
	struct store_release release;
	struct store_source source = {
		"1.1.0", "", &release.manifest, &release.layer, NULL, 0, NULL
	};
	char path[96];
	struct err err;

	publish_rotten(f, "1.0.0", large);
	assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), 0);
	flip(object_path(f, "objects", "small"), 0);
	assert_string_equal(look(f, "small"), "<digest>");
	assert_int_equal(store_republish(f->store, &source, &release, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	publish_rotten(f, "1.0.0", large);
	/* Nor from a release whose own file is damaged, which is told and wants healing, too. */
	assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/releases/1.0.0.mtree", f->dir);
	flip(path, 50);
	assert_true(wants_healing(f, "1.0.0"));
	assert_int_equal(f->events[STORE_RELEASE_BROKEN], 1);
	assert_int_equal(store_republish(f->store, &source, &release, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_string_equal(look(f, "small"), "text");
	publish_rotten(f, "1.0.0", large);
	assert_false(wants_healing(f, "1.0.0"));
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_block_that_rots_is_not_given_out, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(what_is_cached_is_served_from_memory, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(every_kind_of_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(what_the_disk_can_not_read, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_reader_finds_gone_was_swept, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(what_comes_meanwhile_is_not_put_aside, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_missing_list_is_made_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_not_republished, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_are_swept_with_their_objects, setup,
		                                teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
