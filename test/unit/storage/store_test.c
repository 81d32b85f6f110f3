/* The store: publishing, refusals, the overlay, recovery, damage. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "storage/storage.h"

struct fixture {
	char dir[64];
	struct store *store;
	struct cancel *cancel;
	unsigned events[8];
	unsigned serial; /* makes each layer's digest another */
};

/* An entry of an archive to be built; ends with a NULL path. */
struct item {
	const char *path;
	mode_t type;
	const char *text; /* a file's content, a link's target */
	bool is_hard;
};

static void count_event(void *ctx, enum store_event_kind kind, const char *subject,
                        const char *detail)
{
	struct fixture *f = ctx;

	assert_non_null(subject);
	assert_non_null(detail);
	f->events[kind]++;
}

static void open_store(struct fixture *f)
{
	struct store_settings settings = { .dir = f->dir,
		                           .limits = store_default_limits,
		                           .observer = count_event,
		                           .observer_ctx = f };
	struct err err = { .msg = "" };

	settings.limits.entries = 1000;
	settings.limits.total_bytes = 64 << 20;
	settings.limits.ratio_from = 1 << 20;
	f->store = store_open(&settings, &err);
	if (!f->store)
		fail_msg("%s", err.msg);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err;

	strcpy(f->dir, "/tmp/specman-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->cancel = cancel_new(&err);
	assert_non_null(f->cancel);
	open_store(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[96];

	store_close(f->store);
	cancel_free(f->cancel);
	(void)snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void build(const char *path, const struct item *items)
{
	struct archive *a = archive_write_new();

	archive_write_add_filter_gzip(a);
	archive_write_set_format_pax_restricted(a);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	for (; items->path; items++) {
		struct archive_entry *e = archive_entry_new();
		size_t size = items->type == AE_IFREG && items->text && !items->is_hard
		                      ? strlen(items->text)
		                      : 0;

		archive_entry_set_pathname(e, items->path);
		archive_entry_set_filetype(e, items->type);
		archive_entry_set_perm(e, 0644);
		archive_entry_set_mtime(e, 1700000000, 0);
		archive_entry_set_size(e, (la_int64_t)size);
		if (items->is_hard)
			archive_entry_set_hardlink(e, items->text);
		else if (items->type == AE_IFLNK)
			archive_entry_set_symlink(e, items->text);
		assert_true(archive_write_header(a, e) >= ARCHIVE_WARN); /* of the locale */
		if (size)
			assert_int_equal(archive_write_data(a, items->text, size), size);
		archive_entry_free(e);
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
}

static int publish_bytes(struct fixture *f, const char *tag, const void *bytes, size_t size,
                         struct err *err)
{
	struct store_download *download = store_download_new(f->store, size, err);
	struct store_release release;
	struct digest layer;
	struct store_source source = { tag, "2024-12-06T12:43:14Z", &layer, &layer };
	uint64_t swept;
	struct err ignored;
	int failed;

	f->serial++;
	assert_int_equal(digest_of(DIGEST_SHA256, &f->serial, sizeof(f->serial), &layer, err), 0);
	assert_non_null(download);
	assert_int_equal(store_download_write(download, bytes, size, err), 0);
	failed = store_publish(f->store, &source, download, f->cancel, &release, err);
	store_download_free(download);
	assert_int_equal(store_collect(f->store, &swept, &ignored), 0);
	return failed;
}

static int publish(struct fixture *f, const char *tag, const struct item *items, struct err *err)
{
	CLEANUP(buf_release) struct buf bytes = BUF_INIT(64 << 20);
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/archive", f->dir);
	build(path, items);
	assert_int_equal(io_read_file(AT_FDCWD, path, &bytes, err), 0);
	assert_int_equal(unlink(path), 0);
	return publish_bytes(f, tag, bytes.data, bytes.size, err);
}

/* What the view has at path: its text, "<folder>", "<none>" or "<error>". */
static const char *look(struct fixture *f, const char *path)
{
	static char text[256];
	struct store_view *view = store_view_get(f->store);
	const struct store_entry *entry = store_view_find(view, path, strlen(path));
	struct store_content content = { .fd = -1 };
	struct err err;

	if (!entry) {
		strcpy(text, "<none>");
	} else if (entry->is_folder) {
		strcpy(text, "<folder>");
	} else if (store_content_open(f->store, entry, &content, &err)) {
		strcpy(text, err.kind == ERR_DIGEST ? "<digest>" : "<error>");
	} else {
		assert_true(entry->size < sizeof(text));
		if (entry->size)
			memcpy(text, content.bytes, entry->size);
		text[entry->size] = '\0';
		store_content_release(&content);
	}
	store_view_put(view);
	return text;
}

/* Files below a folder of the store. */
static unsigned count_files(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	unsigned count = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char path[600];

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		count += e->d_type == DT_DIR ? count_files(path) : 1;
	}
	closedir(d);
	return count;
}

static unsigned count_in(struct fixture *f, const char *part)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, part);
	return count_files(path);
}

static const struct item base_items[] = {
	{ "./", AE_IFDIR, NULL, false },
	{ "./roar/versions.yaml", AE_IFREG, "base", false },
	{ "./roar/only-base", AE_IFREG, "old", false },
	{ "./name with space\\#\xc3\xa4", AE_IFREG, "odd", false },
	{ "./empty", AE_IFREG, "", false },
	{ NULL, 0, NULL, false },
};
static const struct item newer_items[] = {
	{ "roar/versions.yaml", AE_IFREG, "newer", false },
	{ NULL, 0, NULL, false },
};

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
	char hex[DIGEST_TEXT_SIZE], path[256];
	struct err err;
	int fd;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	view = store_view_get(f->store);
	entry = store_view_find(view, "roar/only-base", 14);
	(void)digest_hex(&entry->content, hex);
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
	/* Also after a restart, when the object is just missing. */
	store_close(f->store);
	open_store(f);
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
	struct store_source source = { "1.1.0", "", &manifest, &release.layer };
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
