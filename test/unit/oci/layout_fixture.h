/* A folder to build image layouts in, file by file, and a source that reads it. */
#ifndef SPECMAN_TEST_LAYOUT_FIXTURE_H
#define SPECMAN_TEST_LAYOUT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "oci/layout.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define GOOD       "{\"imageLayoutVersion\":\"1.0.0\"}"
#define OCI_TYPE   "application/vnd.oci.image.manifest.v1+json"

struct fixture {
	char root[64];
	char dir[80]; /* the layout */
	struct cancel *cancel;
	struct source source;
	struct oci_counters counters;
	struct buf entries; /* of index.json */
};

static int erase(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static void put(const char *dir, const char *path, const void *bytes, size_t size)
{
	char full[512];
	FILE *file;

	(void)snprintf(full, sizeof(full), "%s/%s", dir, path);
	file = fopen(full, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void make_folders(const char *dir)
{
	static const char *const names[] = { "", "/blobs", "/blobs/sha256", "/blobs/sha512" };
	char full[512];

	for (size_t i = 0; i < LEN(names); i++) {
		(void)snprintf(full, sizeof(full), "%s%s", dir, names[i]);
		assert_int_equal(mkdir(full, 0700), 0);
	}
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err;

	strcpy(f->root, "/tmp/specman-layout-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	(void)snprintf(f->dir, sizeof(f->dir), "%s/layout", f->root);
	f->entries = (struct buf)BUF_INIT(1 << 20);
	f->cancel = cancel_new(&err);
	assert_non_null(f->cancel);
	assert_int_equal(layout_source_open(f->dir, &f->counters, f->cancel, &f->source, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->source.ops->free(f->source.self);
	cancel_free(f->cancel);
	buf_release(&f->entries);
	(void)nftw(f->root, erase, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

/* The path of a digest's file in the layout. */
static char *path_of(const struct digest *digest, char path[static 160])
{
	char text[DIGEST_TEXT_SIZE];

	(void)snprintf(path, 160, "blobs/%s", digest_format(digest, text));
	*strchr(path, ':') = '/';
	return path;
}

static struct digest put_blob(const char *dir, enum digest_algorithm algorithm, const void *bytes,
                              size_t size)
{
	struct digest digest;
	char path[160];
	struct err err;

	assert_int_equal(digest_of(algorithm, bytes, size, &digest, &err), 0);
	put(dir, path_of(&digest, path), bytes, size);
	return digest;
}

/* One more descriptor for index.json; `rest` are its members behind digest and size. */
static void add_entry(struct fixture *f, const struct digest *digest, size_t size, const char *rest)
{
	char text[DIGEST_TEXT_SIZE];
	struct err err;

	assert_int_equal(buf_addf(&f->entries, &err, "%s{\"digest\":\"%s\",\"size\":%zu%s%s}",
	                          f->entries.size ? "," : "", digest_format(digest, text), size,
	                          *rest ? "," : "", rest),
	                 0);
}

static void add_named(struct fixture *f, const struct digest *digest, size_t size, const char *name)
{
	char rest[600];

	(void)snprintf(rest, sizeof(rest),
	               "\"mediaType\":\"" OCI_TYPE "\",\"annotations\":"
	               "{\"org.opencontainers.image.ref.name\":\"%s\"}",
	               name);
	add_entry(f, digest, size, rest);
}

static void put_index(struct fixture *f)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
	struct err err;

	assert_int_equal(buf_addf(&text, &err, "{\"schemaVersion\":2,\"manifests\":[%s]}",
	                          buf_text(&f->entries)),
	                 0);
	put(f->dir, "index.json", text.data, text.size);
	put(f->dir, "oci-layout", GOOD, sizeof(GOOD) - 1);
	buf_clear(&f->entries);
}

#endif
