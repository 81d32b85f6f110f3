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

enum {
	BLOCK_BYTES = 256 * 1024,
	LOOK_FILES = 256, /* the room is looked at after so many, or layout_look_bytes */
};

struct object_writer {
	const struct layout *layout;
	struct hasher *hasher;
	int fd;                     /* -1 while all content is in block */
	char name[LAYOUT_TMP_SIZE]; /* "" without a file in tmp/ */
	uint64_t unlooked_bytes;    /* written since the room was looked at */
	unsigned unlooked_files;
	uint64_t size;
	size_t held; /* bytes in block that are not written */
	unsigned char block[BLOCK_BYTES];
};

struct object_writer *object_writer_new(const struct layout *layout, struct err *err)
{
	struct object_writer *writer = malloc(sizeof(*writer));

	if (!writer) {
		(void)err_set_sys(err, ENOMEM, "object writer");
		return NULL;
	}
	writer->layout = layout;
	writer->fd = -1;
	writer->name[0] = '\0';
	writer->unlooked_bytes = 0;
	writer->unlooked_files = LOOK_FILES;
	writer->size = 0;
	writer->held = 0;
	writer->hasher = hasher_new(DIGEST_SHA256, err);
	if (!writer->hasher) {
		free(writer);
		return NULL;
	}
	return writer;
}

static void drop_file(struct object_writer *writer)
{
	if (writer->fd >= 0)
		(void)close(steal_fd(&writer->fd));
	if (writer->name[0])
		(void)unlinkat(writer->layout->tmp, writer->name, 0);
	writer->name[0] = '\0';
}

void object_writer_free(struct object_writer *writer)
{
	if (!writer)
		return;
	drop_file(writer);
	hasher_free(writer->hasher);
	free(writer);
}

/* A name is kept only for a file that was made. */
static int create_file(struct object_writer *writer, struct err *err)
{
	writer->fd = layout_tmp_create(writer->layout, writer->name, err);
	if (writer->fd < 0)
		writer->name[0] = '\0';
	return writer->fd < 0 ? -1 : 0;
}

/* What an archive unpacks to is not known before, so the room is checked on the way. */
static int look_at_room(struct object_writer *writer, struct err *err)
{
	if (writer->unlooked_bytes + writer->held <= layout_look_bytes(writer->layout) &&
	    writer->unlooked_files < LOOK_FILES)
		return 0;
	if (layout_check_room(writer->layout, writer->held, err))
		return -1;
	writer->unlooked_bytes = 0;
	writer->unlooked_files = 0;
	return 0;
}

static int write_block(struct object_writer *writer, struct err *err)
{
	if (look_at_room(writer, err) || (writer->fd < 0 && create_file(writer, err)) ||
	    io_write_all(writer->fd, writer->block, writer->held, writer->name, err))
		return -1;
	writer->unlooked_bytes += writer->held;
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

/* Give the written file its name in objects/, whose fan-out folder is made on demand. */
static int place(struct object_writer *writer, const struct digest *digest, struct err *err)
{
	const struct layout *layout = writer->layout;
	char name[LAYOUT_OBJECT_SIZE];
	char folder[3];

	(void)layout_object_name(digest, name);
	memcpy(folder, name, 2);
	folder[2] = '\0';
	if (write_block(writer, err))
		return -1;
	writer->unlooked_files++;
	/* An error of an earlier write may show here (NFS): the object has no name yet. */
	if (close(steal_fd(&writer->fd)))
		return err_set_sys(err, errno, "close tmp/%s", writer->name);
	if (mkdirat(layout->objects, folder, 0750) && errno != EEXIST)
		return err_set_sys(err, errno, "create folder objects/%s", folder);
	if (renameat(layout->tmp, writer->name, layout->objects, name))
		return err_set_sys(err, errno, "rename to objects/%s", name);
	writer->name[0] = '\0';
	return 0;
}

static bool can_be_shared(const struct object_writer *writer, const struct digest *digest)
{
	return writer->layout->trusts_objects &&
	       object_is_there(writer->layout, digest, writer->size);
}

int object_writer_end(struct object_writer *writer, struct digest *out_digest, uint64_t *out_size,
                      struct err *err)
{
	struct digest digest;

	if (hasher_end(writer->hasher, &digest, err))
		return -1;
	if (!can_be_shared(writer, &digest) && place(writer, &digest, err))
		return -1;
	drop_file(writer);
	*out_digest = digest;
	*out_size = writer->size;
	writer->held = 0;
	writer->size = 0;
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
