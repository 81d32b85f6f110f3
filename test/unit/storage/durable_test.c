/* What is not trusted, and what is gone on with: objects without a release, downloads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"

/* These stand before libc's: a disk that can't read, or can't be made durable. */
atomic_bool reads_fail, syncs_fail;

/* One file whose opening, or reading, fails so. */
const char *bad_file = "none";
int open_errno, read_errno, bad_fd = -1;

int openat(int at, const char *path, int flags, ...)
{
	bool is_bad = !strcmp(path, bad_file);
	va_list rest;
	mode_t mode;
	int fd;

	va_start(rest, flags);
	mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
	va_end(rest);
	if (is_bad && open_errno) {
		errno = open_errno;
		return -1;
	}
	fd = (int)syscall(SYS_openat, at, path, flags, mode);
	if (is_bad)
		bad_fd = fd;
	else if (fd == bad_fd)
		bad_fd = -1;
	return fd;
}

ssize_t pread(int fd, void *bytes, size_t size, off_t at)
{
	bool is_bad = read_errno && fd == bad_fd;

	errno = is_bad ? read_errno : EIO;
	return is_bad || atomic_load(&reads_fail) ? -1 : syscall(SYS_pread64, fd, bytes, size, at);
}

/* After so many entries listing fails; -1: it does not. */
int entries_left = -1;

struct dirent *readdir(DIR *dir)
{
	const union {
		void *object;
		struct dirent *(*function)(DIR *);
	} real = { .object = dlsym(RTLD_NEXT, "readdir") };

	if (!entries_left) {
		errno = EIO;
		return NULL;
	}
	entries_left -= entries_left > 0;
	return real.function(dir);
}

int syncfs(int fd)
{
	errno = EIO;
	return atomic_load(&syncs_fail) ? -1 : (int)syscall(SYS_syncfs, fd);
}

static void write_file(struct fixture *f, const char *name, const void *bytes, size_t size)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(close(fd), 0);
}

/* Where the content "base" is kept. */
static const char *object_of(struct fixture *f, const char *text)
{
	static char name[80];
	struct digest digest;
	char hex[DIGEST_TEXT_SIZE];
	char folder[96];
	struct err err;

	assert_int_equal(digest_of(DIGEST_SHA256, text, strlen(text), &digest, &err), 0);
	(void)digest_hex(&digest, hex);
	(void)snprintf(folder, sizeof(folder), "%s/objects/%.2s", f->dir, hex);
	(void)mkdir(folder, 0750);
	(void)snprintf(name, sizeof(name), "objects/%.2s/%.62s", hex, hex + 2);
	return name;
}

/*
 * An object of the right size whose content a power loss took. Nothing is swept
 * while a release's file is damaged, so the object is there when its content comes.
 */
static void what_no_release_names_is_written_anew(void **state)
{
	static const char zeros[] = "\0\0\0\0\0";
	struct fixture *f = *state;
	struct err err;

	write_file(f, "releases/0.9.0.mtree", "#mtree\n", 7);
	write_file(f, object_of(f, "newer"), zeros, 5);
	store_close(f->store);
	open_store(f);
	assert_int_equal(f->events[STORE_RELEASE_BROKEN], 1);
	assert_int_equal(publish(f, "1.0.0", newer_items, &err), 0);
	assert_string_equal(look(f, "roar/versions.yaml"), "newer");
}

/* A folder that bears an object's name can't be removed as one; all else is. */
static void one_that_stays_keeps_no_other(void **state)
{
	static const char tail[] = "00000000000000000000000000000000000000000000000000000000000000";
	struct fixture *f = *state;
	uint64_t swept;
	struct err err;

	for (unsigned i = 0; i < 8; i++) {
		char path[160];

		(void)snprintf(path, sizeof(path), "%s/objects/%x0", f->dir, i);
		assert_int_equal(mkdir(path, 0750), 0);
		(void)snprintf(path, sizeof(path), "%s/objects/%x0/%s", f->dir, i, tail);
		if (i % 2)
			assert_int_equal(mkdir(path, 0750), 0);
		else
			write_file(f, path + strlen(f->dir) + 1, "x", 1);
	}
	assert_int_equal(store_collect(f->store, &swept, &err), -1);
	assert_int_equal(err.kind, ERR_IO);
	assert_int_equal(swept, 4);
	/* Nor does it keep the next process from its work; that is told it again. */
	store_close(f->store);
	open_store(f);
	assert_int_equal(store_collect(f->store, &swept, &err), -1);
	assert_int_equal(err.kind, ERR_IO);
	assert_int_equal(swept, 0);
}

/*
 * What a folder has beyond the point where listing fails is there all the same: nothing is
 * served without it, and nothing swept that it names.
 */
static void a_folder_that_cant_be_listed_is_not_taken_for_a_shorter_one(void **state)
{
	enum { ENTRIES = 4 }; /* two releases, "." and ".." */
	struct fixture *f = *state;
	const struct store_settings settings = { .dir = f->dir, .limits = store_default_limits };
	struct err err;
	unsigned objects;
	uint64_t swept;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	assert_int_equal(publish(f, "2.0.0", newer_items, &err), 0);
	objects = count_in(f, "objects");
	for (int i = 0; i <= ENTRIES; i++) {
		entries_left = i;
		assert_int_equal(store_reconsider(f->store, &err), -1);
		assert_int_equal(err.kind, ERR_IO);
		entries_left = i;
		assert_int_equal(store_collect(f->store, &swept, &err), -1);
		assert_int_equal(err.kind, ERR_IO);
		assert_int_equal(swept, 0);
		entries_left = -1;
		assert_string_equal(look(f, "roar/versions.yaml"), "newer");
		assert_string_equal(look(f, "roar/only-base"), "old");
		assert_int_equal(count_in(f, "objects"), objects);
	}
	store_close(f->store);
	for (int i = 1; i <= ENTRIES; i++) {
		/* tmp/, and releases/ twice, are tidied before, as far as they can be. */
		entries_left = 2 + 2 * (ENTRIES + 1) + 1 + i;
		f->store = store_open(&settings, &err);
		entries_left = -1;
		assert_null(f->store);
		assert_int_equal(err.kind, ERR_IO);
	}
	open_store(f);
	first_sweep(f);
	assert_string_equal(look(f, "roar/versions.yaml"), "newer");
	assert_string_equal(look(f, "roar/only-base"), "old");
}

/* What a file system says of a file that it has lost: the other releases are served. */
static void a_release_that_the_disk_has_lost_is_left_out(void **state)
{
	static const struct {
		int sys;
		bool is_lost;
	} cases[] = { { EIO, true },    { EUCLEAN, true }, { EBADMSG, true },
		      { EACCES, true }, { ENOMEM, false }, { ESTALE, false } };
	struct fixture *f = *state;
	const struct store_settings settings = { .dir = f->dir, .limits = store_default_limits };
	struct store_release release;
	struct err err;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	assert_int_equal(publish(f, "2.0.0", newer_items, &err), 0);
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		int *fails = i % 2 ? &open_errno : &read_errno;
		struct store *store;
		uint64_t swept;

		store_close(f->store);
		bad_file = "2.0.0.mtree";
		*fails = cases[i / 2].sys;
		store = store_open(&settings, &err);
		assert_int_equal(store != NULL, cases[i / 2].is_lost);
		if (!store)
			assert_int_equal(err.kind, ERR_IO);
		if (store) {
			struct store *ours = f->store;

			f->store = store;
			assert_string_equal(look(f, "roar/versions.yaml"), "base");
			assert_int_equal(store_release_find(store, "2.0.0", &release, &err), -1);
			assert_int_equal(err.kind, ERR_NOT_FOUND);
			/* What it names is not known. */
			assert_int_equal(store_collect(store, &swept, &err), 0);
			assert_int_equal(swept, 0);
			assert_true(store_collect_was_held(store));
			f->store = ours;
			store_close(store);
		}
		*fails = 0;
		bad_file = "none";
		open_store(f);
		assert_string_equal(look(f, "roar/versions.yaml"), "newer");
	}
}

static struct store_download *open_download(struct fixture *f, const char *layer, uint64_t size)
{
	struct store_download *download;
	struct digest digest;
	struct err err;

	assert_int_equal(digest_of(DIGEST_SHA512, layer, strlen(layer), &digest, &err), 0);
	download = store_download_open(f->store, &digest, size, &err);
	if (!download)
		fail_msg("%s", err.msg);
	return download;
}

/* Write `text` and leave; returns how much had been there. */
static uint64_t go_on(struct fixture *f, const char *layer, const char *text)
{
	struct store_download *download = open_download(f, layer, 10);
	uint64_t held = store_download_held(download);
	struct err err;

	assert_int_equal(store_download_write(download, text, strlen(text), &err), 0);
	assert_int_equal(store_download_held(download), held + strlen(text));
	store_download_free(download);
	return held;
}

static void downloads_are_gone_on_with(void **state)
{
	struct fixture *f = *state;
	struct store_download *download;
	char text[10];
	struct err err;

	assert_int_equal(go_on(f, "one", "123"), 0);
	assert_int_equal(go_on(f, "two", ""), 0); /* nothing of it stays */
	assert_int_equal(count_in(f, "tmp"), 1);
	assert_int_equal(go_on(f, "one", "456"), 3);
	store_close(f->store);
	open_store(f);
	download = open_download(f, "one", 10);
	assert_int_equal(store_download_held(download), 6);
	assert_int_equal(store_download_read(download, text, 5, 1, &err), 0);
	assert_memory_equal(text, "23456", 5);
	assert_int_equal(store_download_read(download, text, 7, 0, &err), -1);
	assert_int_equal(store_download_restart(download, &err), 0);
	assert_int_equal(store_download_held(download), 0);
	assert_int_equal(store_download_write(download, "abcdef", 6, &err), 0);
	assert_int_equal(store_download_read(download, text, 6, 0, &err), 0);
	assert_memory_equal(text, "abcdef", 6);
	store_download_free(download);
	/* What is longer than the layer can't be its beginning. */
	download = open_download(f, "one", 5);
	assert_int_equal(store_download_held(download), 0);
	store_download_free(download);
	assert_int_equal(count_in(f, "tmp"), 0);
}

/* A disk that can't read what it was given: it is not asked for the same again. */
static void a_download_that_cant_be_read_goes(void **state)
{
	struct fixture *f = *state;
	struct store_download *download;
	char text[3];
	struct err err;

	assert_int_equal(go_on(f, "one", "123"), 0);
	download = open_download(f, "one", 10);
	atomic_store(&reads_fail, true);
	assert_int_equal(store_download_read(download, text, sizeof(text), 0, &err), -1);
	atomic_store(&reads_fail, false);
	assert_int_equal(err.kind, ERR_IO);
	store_download_free(download);
	assert_int_equal(go_on(f, "one", "123"), 0);
}

/* The same when it is unpacked; but not for another failure of the disk. */
static void a_layer_that_cant_be_read_goes(void **state)
{
	static const struct item items[] = { { "file", AE_IFREG, "text", false },
		                             { NULL, 0, NULL, false } };
	struct fixture *f = *state;
	struct err err;

	atomic_store(&reads_fail, true);
	assert_int_equal(publish(f, "1.0.0", items, &err), -1);
	atomic_store(&reads_fail, false);
	assert_int_equal(err.kind, ERR_IO);
	assert_int_equal(count_in(f, "tmp"), 0);
	atomic_store(&syncs_fail, true);
	assert_int_equal(publish(f, "1.0.0", items, &err), -1);
	assert_int_equal(err.kind, ERR_IO);
	assert_int_equal(count_in(f, "tmp"), 1);
	atomic_store(&syncs_fail, false);
	store_download_sweep(f->store);
	assert_int_equal(publish(f, "1.0.0", items, &err), 0);
	assert_int_equal(count_in(f, "tmp"), 0);
}

static void downloads_are_swept(void **state)
{
	static const struct timespec old[2] = { { .tv_sec = 1700000000 },
		                                { .tv_sec = 1700000000 } };
	static const char name[] = "tmp/download-sha256-of-long-ago";
	struct fixture *f = *state;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	write_file(f, name, "x", 1);
	assert_int_equal(go_on(f, "one", "123"), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	store_close(f->store);
	open_store(f);
	assert_int_equal(count_in(f, "tmp"), 1);
	assert_int_equal(go_on(f, "one", "4"), 3);
	store_download_sweep(f->store);
	assert_int_equal(count_in(f, "tmp"), 0);
}

/* No disk has so much room: others make way, which doesn't help; the reserve is told. */
static void without_room_nothing_is_begun(void **state)
{
	struct fixture *f = *state;
	struct digest digest = { .algorithm = DIGEST_SHA256 };
	struct err err;

	assert_int_equal(go_on(f, "one", "123"), 0);
	assert_null(store_download_open(f->store, &digest, (uint64_t)1 << 60, &err));
	assert_int_equal(err.kind, ERR_NO_SPACE);
	assert_non_null(strstr(err.msg, "1152921504606846976 bytes needed"));
	assert_non_null(strstr(err.msg, "kept in reserve"));
	assert_int_equal(count_in(f, "tmp"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_no_release_names_is_written_anew, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(one_that_stays_keeps_no_other, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_folder_that_cant_be_listed_is_not_taken_for_a_shorter_one, setup,
			teardown),
		cmocka_unit_test_setup_teardown(a_release_that_the_disk_has_lost_is_left_out, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(downloads_are_gone_on_with, setup, teardown),
		cmocka_unit_test_setup_teardown(a_download_that_cant_be_read_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_layer_that_cant_be_read_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(downloads_are_swept, setup, teardown),
		cmocka_unit_test_setup_teardown(without_room_nothing_is_begun, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
