/* A store in a folder of its own, archives to publish in it, and looks at what it serves. */
#ifndef SPECMAN_TEST_STORAGE_HARNESS_H
#define SPECMAN_TEST_STORAGE_HARNESS_H

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
	unsigned events[16];
	unsigned serial;    /* makes each manifest's digest another */
	size_t cache_bytes; /* for open_store */
};

/* An entry of an archive to be built; ends with a NULL path. */
struct item {
	const char *path;
	mode_t type;
	const char *text; /* a file's content, a link's target */
	bool is_hard;
};

static inline void count_event(void *ctx, enum store_event_kind kind, const char *subject,
                               const char *detail)
{
	struct fixture *f = ctx;

	assert_non_null(subject);
	assert_non_null(detail);
	f->events[kind]++;
}

static inline void open_store(struct fixture *f)
{
	struct store_settings settings = { .dir = f->dir,
		                           .limits = store_default_limits,
		                           .cache_bytes = f->cache_bytes,
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

/* As the first round of sync does: what was left is swept, what is missing is found. */
static inline void first_sweep(struct fixture *f)
{
	uint64_t swept;
	struct err err = { .msg = "" };

	if (store_collect(f->store, &swept, &err))
		fail_msg("%s", err.msg);
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline void build(const char *path, const struct item *items)
{
	struct archive *a = archive_write_new();

	archive_write_add_filter_gzip(a);
	/* The same bytes for the same items. */
	assert_int_equal(archive_write_set_filter_option(a, "gzip", "timestamp", NULL), 0);
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

static inline int publish_bytes(struct fixture *f, const char *tag, const void *bytes, size_t size,
                                struct err *err)
{
	struct store_download *download;
	struct store_release release;
	struct digest manifest, layer;
	struct store_source source = {
		tag, "2024-12-06T12:43:14Z", &manifest, &layer, NULL, 0, NULL
	};
	uint64_t swept;
	struct err ignored;
	int failed;

	f->serial++;
	assert_int_equal(digest_of(DIGEST_SHA256, &f->serial, sizeof(f->serial), &manifest, err),
	                 0);
	assert_int_equal(digest_of(DIGEST_SHA256, bytes, size, &layer, err), 0);
	download = store_download_open(f->store, &layer, size, err);
	assert_non_null(download);
	assert_int_equal(store_download_write(download, bytes, size, err), 0);
	failed = store_publish(f->store, &source, download, f->cancel, &release, err);
	store_download_free(download);
	assert_int_equal(store_collect(f->store, &swept, &ignored), 0);
	return failed;
}

static inline int publish(struct fixture *f, const char *tag, const struct item *items,
                          struct err *err)
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
static inline const char *look(struct fixture *f, const char *path)
{
	static char text[256];
	struct store_view *view = store_view_get(f->store);
	const struct store_entry *entry = store_view_find(view, path, strlen(path));
	struct store_content content;
	struct err err;

	if (!entry) {
		strcpy(text, "<none>");
	} else if (entry->is_folder) {
		strcpy(text, "<folder>");
	} else if (store_content_open(f->store, entry, &content, &err)) {
		strcpy(text, err.kind == ERR_DIGEST ? "<digest>" : "<error>");
	} else {
		assert_true(entry->size < sizeof(text));
		memcpy(text, content.bytes, entry->size);
		text[entry->size] = '\0';
		store_content_release(&content);
	}
	store_view_put(view);
	return text;
}

/* Files below a folder of the store. */
static inline unsigned count_files(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	unsigned count = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char path[600];

		if (e->d_name[0] == '.')
			continue;
		assert_true((size_t)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) <
		            sizeof(path));
		count += e->d_type == DT_DIR ? count_files(path) : 1;
	}
	closedir(d);
	return count;
}

static inline unsigned count_in(struct fixture *f, const char *part)
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

#endif
