/*
 * Objects; see object.h. Content up to a block is held in memory until its
 * digest is known, so that a file which is there already costs no write: most
 * files of a new release are those of the one before.
 */
#include "object.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "blocks.h"
#include "storage.h"

enum { HELD_BYTES = 2 * BLOCK_BYTES };

struct object_writer {
	const struct layout *layout;
	struct hasher *hasher;
	struct buf hashes; /* of the blocks that are written */
	int fd;            /* -1 while all content is in block */
	char name[LAYOUT_TMP_SIZE];
	uint64_t size;
	size_t held; /* bytes in block that are not written */
	unsigned char block[HELD_BYTES];
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
	writer->size = 0;
	writer->held = 0;
	writer->hashes = (struct buf)BUF_INIT(BLOCKS_MAX_BYTES);
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
	buf_release(&writer->hashes);
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
	if (blocks_add(&writer->hashes, writer->block, writer->held, err) ||
	    write_out(writer, writer->block, writer->held, err))
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
		size_t part = HELD_BYTES - writer->held;

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

/* Give the written file its name in objects/. */
static int place(struct object_writer *writer, const struct digest *digest, struct err *err)
{
	const struct layout *layout = writer->layout;
	char name[LAYOUT_OBJECT_SIZE];

	if (layout_place(layout->tmp, writer->name, layout->objects, digest, err)) {
		if (err->sys != EISDIR)
			return -1;
		/* A folder lies there, where a damaged object was. */
		object_put_aside(layout, digest);
		if (layout_place(layout->tmp, writer->name, layout->objects, digest, err))
			return -1;
	}
	if (close(steal_fd(&writer->fd))) {
		int sys = errno;

		(void)unlinkat(layout->objects, layout_object_name(digest, name), 0);
		return err_set_sys(err, sys, "close objects/%s", name);
	}
	return 0;
}

/* The hashes first: an object that is found has them. */
static int keep_hashes(struct object_writer *writer, const struct digest *digest, struct err *err)
{
	if (blocks_are_there(writer->layout, digest, writer->size))
		return 0;
	if (writer->held && write_block(writer, err))
		return -1;
	return blocks_write(writer->layout, digest, writer->size, &writer->hashes, err);
}

int object_writer_end(struct object_writer *writer, struct digest *out_digest, uint64_t *out_size,
                      struct err *err)
{
	struct digest digest;

	if (hasher_end(writer->hasher, &digest, err))
		return -1;
	if (writer->size > STORE_IN_MEMORY_BYTES && keep_hashes(writer, &digest, err))
		return -1;
	if (!object_is_there(writer->layout, &digest, writer->size) &&
	    (((writer->held || writer->fd < 0) && write_block(writer, err)) ||
	     place(writer, &digest, err)))
		return -1;
	drop_file(writer);
	buf_clear(&writer->hashes);
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
	buf_clear(&writer->hashes);
	/* A digest that can't be ended can't be begun either: the next addition tells. */
	(void)!hasher_end(writer->hasher, &unused, &ignored);
	writer->held = 0;
	writer->size = 0;
}

int object_writer_put(struct object_writer *writer, const void *bytes, size_t size,
                      struct digest *out_digest, struct err *err)
{
	struct digest digest;
	uint64_t unused;

	/* A large one is to have the hashes of its blocks. */
	if (size > STORE_IN_MEMORY_BYTES)
		return object_writer_add(writer, bytes, size, err)
		               ? -1
		               : object_writer_end(writer, out_digest, &unused, err);
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

static int check_file(int fd, const char *name, uint64_t size, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_set_sys(err, errno, "look at object %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_DIGEST, "object %s is no file", name);
	if ((uint64_t)st.st_size != size)
		return err_set(err, ERR_DIGEST, "object %s has %lld bytes in place of %" PRIu64,
		               name, (long long)st.st_size, size);
	return 0;
}

int object_open(const struct layout *layout, const struct digest *digest, uint64_t size,
                struct err *err)
{
	char name[LAYOUT_OBJECT_SIZE];
	/* O_NONBLOCK: what lies there instead of a file must not be waited for. */
	CLEANUP(cleanup_fd)
	int fd = openat(layout->objects, layout_object_name(digest, name),
	                O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "object %s is missing", name);
	if (fd < 0)
		return err_set_sys(err, errno, "open object %s", name);
	return check_file(fd, name, size, err) ? -1 : steal_fd(&fd);
}

int object_read(int fd, const struct digest *digest, uint64_t size, unsigned char *out_bytes,
                struct err *err)
{
	char name[LAYOUT_OBJECT_SIZE];
	struct digest found;

	if (io_read_at(fd, out_bytes, size, 0, layout_object_name(digest, name), err)) {
		if (err->kind == ERR_FORMAT)
			err->kind = ERR_DIGEST;
		return -1;
	}
	if (digest_of(DIGEST_SHA256, out_bytes, size, &found, err))
		return -1;
	if (!digest_equal(&found, digest))
		return err_set(err, ERR_DIGEST, "object %s does not have the content of its name",
		               name);
	return 0;
}

bool object_is_at_fault(const struct err *err)
{
	/* EUCLEAN and EBADMSG: ext4 and xfs found a checksum wrong. The rest: it is no file, or not
	 * ours. */
	static const int faults[] = { EIO,    EUCLEAN, EBADMSG, ENODATA, EACCES, EPERM,
		                      EISDIR, ELOOP,   ENXIO,   ENOTDIR, ENODEV };

	if (err->kind == ERR_DIGEST || err->kind == ERR_NOT_FOUND)
		return true;
	for (size_t i = 0; err->kind == ERR_IO && i < sizeof(faults) / sizeof(faults[0]); i++)
		if (err->sys == faults[i])
			return true;
	return false;
}

bool object_is_same(const struct layout *layout, const struct digest *digest, int fd)
{
	char name[LAYOUT_OBJECT_SIZE];
	struct stat opened, named;

	return !fstat(fd, &opened) &&
	       !fstatat(layout->objects, layout_object_name(digest, name), &named,
	                AT_SYMLINK_NOFOLLOW) &&
	       opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

void object_put_aside(const struct layout *layout, const struct digest *digest)
{
	char name[LAYOUT_OBJECT_SIZE];
	char aside[DIGEST_TEXT_SIZE];

	(void)layout_object_name(digest, name);
	(void)digest_hex(digest, aside);
	if (renameat(layout->objects, name, layout->quarantine, aside) && errno != ENOENT) {
		/* A file there and a folder here, or the other way round. */
		object_forget_aside(layout, aside);
		(void)renameat(layout->objects, name, layout->quarantine, aside);
	}
}

void object_forget_aside(const struct layout *layout, const char *name)
{
	if (unlinkat(layout->quarantine, name, 0) && (errno == EISDIR || errno == EPERM))
		(void)unlinkat(layout->quarantine, name, AT_REMOVEDIR);
}
