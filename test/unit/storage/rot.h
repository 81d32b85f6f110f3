/* Damage done to a store's objects behind its back. */
#ifndef SPECMAN_TEST_STORAGE_ROT_H
#define SPECMAN_TEST_STORAGE_ROT_H

#include "harness.h"

enum { LARGE_BYTES = 3 * 1024 * 1024 + 12345 };

/*
 * What publish_rotten publishes: a large file of letters that gzip can't pack well, and small ones.
 * A control character makes it no text, so that it has no twin.
 */
static inline char *letters(size_t size)
{
	char *text = malloc(size + 1);
	uint32_t random = 4711;

	assert_non_null(text);
	for (size_t i = 0; i < size; i++) {
		random = random * 1664525U + 1013904223U;
		text[i] = (char)('A' + (random >> 24) % 50);
	}
	text[0] = '\1';
	text[size] = '\0';
	return text;
}

static inline void publish_rotten(struct fixture *f, const char *tag, const char *large)
{
	const struct item items[] = {
		{ "large", AE_IFREG, large, false },
		{ "small", AE_IFREG, "text", false },
		{ "other", AE_IFREG, "untouched", false },
		{ "empty", AE_IFREG, "", false },
		{ NULL, 0, NULL, false },
	};
	struct err err = { .msg = "" };

	if (publish(f, tag, items, &err))
		fail_msg("%s", err.msg);
}

/* A path below the store's folder `part`, of the object of a file. */
static inline const char *object_path(struct fixture *f, const char *part, const char *file)
{
	static char path[256];
	struct store_view *view = store_view_get(f->store);
	const struct store_entry *entry = store_view_find(view, file, strlen(file));
	struct digest content;
	char hex[DIGEST_TEXT_SIZE];

	assert_non_null(entry);
	content = store_content_digest(entry);
	(void)digest_hex(&content, hex);
	store_view_put(view);
	(void)snprintf(path, sizeof(path), "%s/%s/%.2s/%s", f->dir, part, hex, hex + 2);
	return path;
}

static inline void flip(const char *path, off_t at)
{
	unsigned char byte;
	int fd;

	assert_int_equal(chmod(path, 0640), 0);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	assert_int_equal(close(fd), 0);
}

static inline int open_file(struct fixture *f, const char *file, struct store_content *content,
                            struct err *err)
{
	struct store_view *view = store_view_get(f->store);
	const struct store_entry *entry = store_view_find(view, file, strlen(file));
	int failed;

	assert_non_null(entry);
	failed = store_content_open(f->store, entry, content, err);
	store_view_put(view);
	return failed;
}

/*
 * Read the large file to its end. Returns how many bytes came, each of which
 * was compared, before the end or an error.
 */
static inline size_t read_large(const struct store_content *content, const char *large,
                                struct err *err)
{
	static char block[70000]; /* no divisor of anything */
	size_t at = 0, got;

	while (at < LARGE_BYTES) {
		if (store_content_read(content, at, block, sizeof(block), &got, err))
			return at;
		assert_true(got > 0 && got <= sizeof(block));
		assert_memory_equal(block, large + at, got);
		at += got;
	}
	return at;
}

/* The release is to be fetched again. */
static inline bool wants_healing(struct fixture *f, const char *tag)
{
	struct store_release release;
	struct err err = { .kind = ERR_NONE };
	int failed = store_release_find(f->store, tag, &release, &err);

	assert_true(!failed || err.kind == ERR_NOT_FOUND);
	return failed != 0;
}

#endif
