/* The store: publishing, refusals, the overlay, recovery, damage. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

static void write_leftovers(struct fixture *f)
{
	static const char *const names[] = { "releases/4.5.15.mtree.new", "tmp/new-0" };
	char path[128];

	for (size_t i = 0; i < 2; i++) {
		int fd;

		(void)snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
		fd = open(path, O_WRONLY | O_CREAT, 0600);
		assert_true(fd >= 0);
		assert_int_equal(close(fd), 0);
	}
}

static void overlay_and_restart(void **state)
{
	struct fixture *f = *state;
	struct err err;

	assert_string_equal(look(f, ""), "<folder>");
	assert_int_equal(publish(f, "4.5.15", newer_items, &err), 0);
	assert_int_equal(publish(f, "0.0.0", base_items, &err), 0);
	for (int restart = 0; restart < 2; restart++) {
		assert_string_equal(look(f, "roar/versions.yaml"), "newer");
		assert_string_equal(look(f, "roar/only-base"), "old");
		assert_string_equal(look(f, "name with space\\#\xc3\xa4"), "odd");
		assert_string_equal(look(f, "empty"), "");
		assert_string_equal(look(f, "roar"), "<folder>");
		assert_string_equal(look(f, "roar/"), "<none>");
		assert_string_equal(look(f, "/roar"), "<none>");
		assert_string_equal(look(f, "roar//only-base"), "<none>");
		assert_string_equal(look(f, "roar/versions.yaml/x"), "<none>");
		assert_int_equal(count_in(f, "objects"), 5);
		assert_int_equal(count_in(f, "tmp"), 0);
		store_close(f->store);
		open_store(f);
	}
	/* What a killed writer left is gone at the next start. */
	write_leftovers(f);
	store_close(f->store);
	open_store(f);
	assert_int_equal(count_in(f, "releases"), 2);
	assert_int_equal(count_in(f, "tmp"), 0);
	/* The tag moves: what only its old content named is swept. */
	assert_int_equal(publish(f, "0.0.0", newer_items, &err), 0);
	assert_string_equal(look(f, "roar/only-base"), "<none>");
	assert_int_equal(count_in(f, "objects"), 1);
}

static void a_held_view_keeps_its_objects(void **state)
{
	struct fixture *f = *state;
	struct store_view *view;
	const struct store_entry *entry;
	struct store_content content;
	struct err err;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	view = store_view_get(f->store);
	assert_int_equal(publish(f, "1.0.0", newer_items, &err), 0);
	entry = store_view_find(view, "roar/only-base", 14);
	assert_non_null(entry);
	assert_int_equal(store_content_open(f->store, entry, &content, &err), 0);
	assert_memory_equal(content.bytes, "old", 3);
	store_content_release(&content);
	store_view_put(view);
}

static void refused_archives(void **state)
{
	static const struct {
		struct item items[4];
		enum err_kind kind;
		const char *says;
	} cases[] = {
		{ { { "a", AE_IFREG, "x", 0 }, { "../x", AE_IFREG, "x", 0 } }, ERR_FORMAT, "../x" },
		{ { { "a/../../x", AE_IFREG, "x", 0 } }, ERR_FORMAT, "a/../../x" },
		{ { { "/etc/x", AE_IFREG, "x", 0 } }, ERR_FORMAT, "/etc/x" },
		{ { { "dev", AE_IFCHR, NULL, 0 } }, ERR_FORMAT, "character device" },
		{ { { "disk", AE_IFBLK, NULL, 0 } }, ERR_FORMAT, "block device" },
		{ { { "pipe", AE_IFIFO, NULL, 0 } }, ERR_FORMAT, "fifo" },
		{ { { "new\nline", AE_IFREG, "x", 0 } }, ERR_FORMAT, "control character" },
		{ { { "out", AE_IFLNK, "../../etc/passwd", 0 } },
		  ERR_FORMAT,
		  "leaves the archive" },
		{ { { "out", AE_IFLNK, "/etc/passwd", 0 } }, ERR_FORMAT, "leaves the archive" },
		{ { { "a", AE_IFLNK, "b", 0 }, { "b", AE_IFLNK, "a", 0 } }, ERR_FORMAT, "circle" },
		{ { { "d/self", AE_IFLNK, ".", 0 } }, ERR_FORMAT, "folder that it is in" },
		{ { { "a/l", AE_IFLNK, "../b", 0 }, { "b/m", AE_IFLNK, "../a", 0 } },
		  ERR_FORMAT,
		  "" },
		{ { { "l", AE_IFLNK, "gone", 0 } }, ERR_FORMAT, "points at nothing" },
		{ { { "l", AE_IFLNK, "d", 0 }, { "l/x", AE_IFREG, "x", 0 } },
		  ERR_FORMAT,
		  "a link" },
		{ { { "a", AE_IFREG, "x", 0 }, { "a/b", AE_IFREG, "x", 0 } },
		  ERR_FORMAT,
		  "a file" },
		{ { { "a/b", AE_IFREG, "x", 0 }, { "a", AE_IFREG, "x", 0 } },
		  ERR_FORMAT,
		  "folder" },
		{ { { "h", AE_IFREG, "../../etc/passwd", 1 } }, ERR_FORMAT, "leaves the archive" },
		{ { { NULL, 0, NULL, 0 } }, ERR_FORMAT, "empty" },
	};
	struct fixture *f = *state;
	struct err err;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(publish(f, "1.0.0", cases[i].items, &err), -1);
		if (err.kind != cases[i].kind || !strstr(err.msg, cases[i].says))
			fail_msg("case %zu: %s", i, err.msg);
		assert_string_equal(look(f, "roar/only-base"), "old");
		assert_int_equal(count_in(f, "objects"), 4);
		assert_int_equal(count_in(f, "tmp"), 0);
	}
	assert_int_equal(publish_bytes(f, "1.0.0", "no archive", 10, &err), -1);
	assert_int_equal(err.kind, ERR_FORMAT);
}

static void links_become_what_they_point_at(void **state)
{
	static const struct item items[] = {
		{ "d/real", AE_IFREG, "text", false },
		{ "d/hard", AE_IFREG, "d/real", true },
		{ "file-link", AE_IFLNK, "d/real", false },
		{ "folder-link", AE_IFLNK, "./d/", false },
		{ "chain", AE_IFLNK, "folder-link/deep", false },
		{ "d/deep", AE_IFLNK, "../file-link", false },
		{ NULL, 0, NULL, false },
	};
	struct fixture *f = *state;
	struct err err = { .msg = "" };

	if (publish(f, "1.0.0", items, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(look(f, "d/hard"), "text");
	assert_string_equal(look(f, "file-link"), "text");
	assert_string_equal(look(f, "folder-link/real"), "text");
	assert_string_equal(look(f, "folder-link/deep"), "text");
	assert_string_equal(look(f, "chain"), "text");
}

static void bombs_are_limited(void **state)
{
	struct fixture *f = *state;
	char *zeros = calloc(1, (8 << 20) + 1);
	struct item items[] = { { "zeros", AE_IFREG, zeros, false }, { NULL, 0, NULL, false } };
	struct err err;

	memset(zeros, '0', 8 << 20);
	assert_int_equal(publish(f, "1.0.0", items, &err), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_non_null(strstr(err.msg, "times its size"));
	assert_int_equal(count_in(f, "objects"), 0);
	free(zeros);
}

static void damage_is_never_served(void **state)
{
	struct fixture *f = *state;
	struct store_release release;
	struct store_view *view;
	const struct store_entry *entry;
	struct digest content;
	uint64_t swept;
	char hex[DIGEST_TEXT_SIZE], path[256];
	struct err err;
	int fd;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	view = store_view_get(f->store);
	entry = store_view_find(view, "roar/only-base", 14);
	content = store_content_digest(entry);
	(void)digest_hex(&content, hex);
	store_view_put(view);
	(void)snprintf(path, sizeof(path), "%s/objects/%.2s/%s", f->dir, hex, hex + 2);
	assert_int_equal(chmod(path, 0640), 0);
	fd = open(path, O_WRONLY);
	assert_int_equal(write(fd, "O", 1), 1);
	close(fd);

	assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), 0);
	assert_string_equal(look(f, "roar/only-base"), "<digest>");
	assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 1);
	assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_string_equal(look(f, "roar/versions.yaml"), "base");
	/* Also after a restart, when the object is just missing: the sweep finds that. */
	store_close(f->store);
	open_store(f);
	assert_int_equal(store_collect(f->store, &swept, &err), 0);
	assert_int_equal(swept, 0);
	assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 2);
	assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), -1);
	/* Fetched again, it is healed. */
	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	assert_string_equal(look(f, "roar/only-base"), "old");
	assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), 0);
	assert_int_equal(release.files, 4);
}

static void a_damaged_release_file_is_left_out(void **state)
{
	struct fixture *f = *state;
	char path[96];
	struct err err;
	int fd;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	assert_int_equal(publish(f, "2.0.0", newer_items, &err), 0);
	store_close(f->store);
	(void)snprintf(path, sizeof(path), "%s/releases/2.0.0.mtree", f->dir);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "9", 1, 40), 1);
	close(fd);
	open_store(f);
	assert_int_equal(f->events[STORE_RELEASE_BROKEN], 1);
	assert_string_equal(look(f, "roar/versions.yaml"), "base");
	/* Nothing is swept while it is not known what the release named. */
	assert_int_equal(count_in(f, "objects"), 5);
	assert_int_equal(publish(f, "2.0.0", newer_items, &err), 0);
	assert_string_equal(look(f, "roar/versions.yaml"), "newer");
}

static void one_writer(void **state)
{
	struct fixture *f = *state;
	struct store_settings settings = { .dir = f->dir, .limits = store_default_limits };
	struct err err;

	assert_null(store_open(&settings, &err));
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "in use by another specman"));
}

static void another_format_is_told_without_the_lock(void **state)
{
	struct fixture *f = *state;
	char path[80];
	struct err err;
	FILE *file;

	assert_int_equal(store_check_format(f->dir, &err), 0); /* while the store is open */
	(void)snprintf(path, sizeof(path), "%s/format", f->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs("specman-store 9\n", file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(store_check_format(f->dir, &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(store_check_format(f->dir, &err), 0);
	assert_int_equal(store_check_format("/nonexistent", &err), -1);
	assert_int_equal(err.kind, ERR_IO);
}

static void republish_needs_no_bytes(void **state)
{
	struct fixture *f = *state;
	struct store_release release;
	struct digest manifest = { .algorithm = DIGEST_SHA256, .bytes = { 7 } };
	struct digest unknown = { .algorithm = DIGEST_SHA256, .bytes = { 9 } };
	struct store_source source = { "1.1.0", "", &manifest, &release.layer, NULL, 0, NULL };
	struct err err;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), 0);
	assert_string_equal(release.created, "2024-12-06T12:43:14Z");
	assert_int_equal(store_republish(f->store, &source, &release, &err), 0);
	assert_int_equal(store_release_find(f->store, "1.1.0", &release, &err), 0);
	assert_true(digest_equal(&release.manifest, &manifest));
	assert_int_equal(release.files, 4);
	source.layer = &unknown;
	assert_int_equal(store_republish(f->store, &source, &release, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void reserved_and_conflicting_names(void **state)
{
	static const struct item older[] = { { "x/y", AE_IFREG, "1", false },
		                             { ".specman/z", AE_IFREG, "1", false },
		                             { NULL, 0, NULL, false } };
	static const struct item newer[] = { { "x", AE_IFREG, "2", false },
		                             { NULL, 0, NULL, false } };
	struct fixture *f = *state;
	struct err err;

	assert_int_equal(publish(f, "1.0.0", older, &err), 0);
	assert_string_equal(look(f, ".specman/z"), "<none>");
	assert_int_equal(f->events[STORE_RESERVED_NAME], 1);
	assert_int_equal(publish(f, "2.0.0", newer, &err), 0);
	assert_string_equal(look(f, "x"), "2");
	assert_string_equal(look(f, "x/y"), "<none>");
	assert_int_equal(f->events[STORE_OVERLAY_CONFLICT], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(overlay_and_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(a_held_view_keeps_its_objects, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_archives, setup, teardown),
		cmocka_unit_test_setup_teardown(links_become_what_they_point_at, setup, teardown),
		cmocka_unit_test_setup_teardown(bombs_are_limited, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_never_served, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_release_file_is_left_out, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(one_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(another_format_is_told_without_the_lock, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(republish_needs_no_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(reserved_and_conflicting_names, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
