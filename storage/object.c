/*
 * Objects; see object.h. Content up to a block is held in memory until its
 * digest is known, so that a file which is there already costs no write: most
 * files of a new release are those of the one before.
 */
#include "object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

enum { BLOCK_BYTES = 256 * 1024 };

struct object_writer {
	const struct layout *layout;
	struct hasher *hasher;
	int fd; /* -1 while all content is in block */
	char name[LAYOUT_TMP_SIZE];
	uint64_t size;
	size_t held; /* bytes in block that are not written */
	bool has_folder[256];
	unsigned char block[BLOCK_BYTES];
};

struct object_writer *object_writer_new(const struct layout *layout, struct err *err)
{
	struct object_writer *writer = calloc(1, sizeof(*writer));

	if (!writer) {
		(void)err_set_sys(err, ENOMEM, "object writer");
		return NULL;
	}
	writer->layout = layout;
	writer->fd = -1;
	writer->hasher = hasher_new(DIGEST_SHA256, err);
	if (!writer->hasher) {
		free(writer);
		return NULL;
	}
	return writer;
}

static void drop_file(struct object_writer *writer)
{
	if (writer->fd < 0)
		return;
	(void)close(writer->fd);
	(void)unlinkat(writer->layout->tmp, writer->name, 0);
	writer->fd = -1;
}

void object_writer_free(struct object_writer *writer)
{
	if (!writer)
		return;
	drop_file(writer);
	hasher_free(writer->hasher);
	free(writer);
}

static int write_out(struct object_writer *writer, const void *bytes, size_t size, struct err *err)
{
	if (writer->fd < 0)
		writer->fd = layout_tmp_create(writer->layout, writer->name, err);
	return writer->fd < 0 ? -1 : io_write_all(writer->fd, bytes, size, writer->name, err);
}

static int write_block(struct object_writer *writer, struct err *err)
{
	if (write_out(writer, writer->block, writer->held, err))
		return -1;
	writer->held = 0;
	return 0;
}

int object_writer_add(struct object_writer *writer, const void *bytes, size_t size, struct err *err)
{
	const unsigned char *next = bytes;

	if (hasher_add(writer->hasher, bytes, size, err))
		return -1;
	writer->size += size;
	while (size) {
		size_t part = BLOCK_BYTES - writer->held;

		if (!part) {
			if (write_block(writer, err))
				return -1;
			continue;
		}
		if (part > size)
			part = size;
		memcpy(writer->block + writer->held, next, part);
		writer->held += part;
		next += part;
		size -= part;
	}
	return 0;
}

/* Make the folder of an object, once in a writer's life. */
static int make_folder(struct object_writer *writer, const struct digest *digest, const char *name,
                       struct err *err)
{
	char folder[3] = { name[0], name[1], '\0' };

	if (writer->has_folder[digest->bytes[0]])
		return 0;
	if (mkdirat(writer->layout->objects, folder, 0750) && errno != EEXIST)
		return err_set_sys(err, errno, "create folder objects/%s", folder);
	writer->has_folder[digest->bytes[0]] = true;
	return 0;
}

/* Give the written file its name in objects/. */
static int place(struct object_writer *writer, const struct digest *digest, struct err *err)
{
	const struct layout *layout = writer->layout;
	char name[LAYOUT_OBJECT_SIZE];

	(void)layout_object_name(digest, name);
	if (make_folder(writer, digest, name, err))
		return -1;
	if (renameat(layout->tmp, writer->name, layout->objects, name))
		return err_set_sys(err, errno, "rename to objects/%s", name);
	if (close(steal_fd(&writer->fd))) {
		int sys = errno;

		(void)unlinkat(layout->objects, name, 0);
		return err_set_sys(err, sys, "close objects/%s", name);
	}
	return 0;
}

int object_writer_end(struct object_writer *writer, struct digest *out_digest, uint64_t *out_size,
                      struct err *err)
{
	struct digest digest;

	if (hasher_end(writer->hasher, &digest, err))
		return -1;
	if (!object_is_there(writer->layout, &digest, writer->size) &&
	    (write_block(writer, err) || place(writer, &digest, err)))
		return -1;
	drop_file(writer);
	*out_digest = digest;
	*out_size = writer->size;
	writer->held = 0;
	writer->size = 0;
	return 0;
}

void object_writer_reset(struct object_writer *writer)
{
	struct digest unused;
	struct err ignored;

	drop_file(writer);
	/* A digest that can't be ended can't be begun either: the next addition tells. */
	(void)!hasher_end(writer->hasher, &unused, &ignored);
	writer->held = 0;
	writer->size = 0;
}

int object_writer_put(struct object_writer *writer, const void *bytes, size_t size,
                      struct digest *out_digest, struct err *err)
{
	struct digest digest;

	if (hasher_add(writer->hasher, bytes, size, err) ||
	    hasher_end(writer->hasher, &digest, err))
		return -1;
	if (!object_is_there(writer->layout, &digest, size) &&
	    (write_out(writer, bytes, size, err) || place(writer, &digest, err))) {
		drop_file(writer);
		return -1;
	}
	*out_digest = digest;
	return 0;
}

bool object_is_there(const struct layout *layout, const struct digest *digest, uint64_t size)
{
	char name[LAYOUT_OBJECT_SIZE];
	struct stat st;

	return !fstatat(layout->objects, layout_object_name(digest, name), &st,
	                AT_SYMLINK_NOFOLLOW) &&
	       S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

int object_open(const struct layout *layout, const struct digest *digest, struct err *err)
{
	char name[LAYOUT_OBJECT_SIZE];
	int fd = openat(layout->objects, layout_object_name(digest, name),
	                O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "object %s is missing", name);
	if (fd < 0)
		return err_set_sys(err, errno, "open object %s", name);
	return fd;
}

DEFINE_CLEANUP(cleanup_hasher, struct hasher, hasher_free);

int object_verify(int fd, const struct digest *digest, uint64_t size, void *bytes, struct err *err)
{
	CLEANUP(cleanup_hasher) struct hasher *hasher = hasher_new(DIGEST_SHA256, err);
	CLEANUP(cleanup_free) unsigned char *block = bytes ? NULL : malloc(BLOCK_BYTES);
	char name[LAYOUT_OBJECT_SIZE];
	struct digest found;
	uint64_t at = 0;

	if (!hasher)
		return -1;
	if (!bytes && !block)
		return err_set_sys(err, ENOMEM, "read object");
	(void)layout_object_name(digest, name);
	while (at < size) {
		unsigned char *to = bytes ? (unsigned char *)bytes + at : block;
		size_t part = size - at < BLOCK_BYTES ? (size_t)(size - at) : BLOCK_BYTES;

		if (io_read_at(fd, to, part, at, name, err)) {
			if (err->kind == ERR_FORMAT)
				err->kind = ERR_DIGEST;
			return -1;
		}
		if (hasher_add(hasher, to, part, err))
			return -1;
		at += part;
	}
	if (hasher_end(hasher, &found, err))
		return -1;
	if (!digest_equal(&found, digest))
		return err_set(err, ERR_DIGEST, "object %s does not have the content of its name",
		               name);
	return 0;
}

void object_put_aside(const struct layout *layout, const struct digest *digest)
{
	char name[LAYOUT_OBJECT_SIZE];
	char aside[DIGEST_TEXT_SIZE];

	(void)digest_hex(digest, aside);
	(void)renameat(layout->objects, layout_object_name(digest, name), layout->tmp, aside);
}
