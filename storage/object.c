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

enum {
	HELD_BYTES = 2 * BLOCK_BYTES,
	LOOK_FILES = 256, /* the room is looked at after so many, or layout_look_bytes */
};

DEFINE_CLEANUP(cleanup_hasher, struct hasher, hasher_free);

struct object_writer {
	const struct layout *layout;
	struct hasher *hasher;
	struct buf hashes;          /* of the blocks that are written */
	int fd;                     /* -1 while all content is in block */
	char name[LAYOUT_TMP_SIZE]; /* "" without a file in tmp/ */
	uint64_t unlooked_bytes;    /* written since the room was looked at */
	unsigned unlooked_files;
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
	writer->unlooked_files = LOOK_FILES;
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
	buf_release(&writer->hashes);
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
static int look_at_room(struct object_writer *writer, size_t size, struct err *err)
{
	if (writer->unlooked_bytes + size <= layout_look_bytes(writer->layout) &&
	    writer->unlooked_files < LOOK_FILES)
		return 0;
	if (layout_check_room(writer->layout, size, err))
		return -1;
	writer->unlooked_bytes = 0;
	writer->unlooked_files = 0;
	return 0;
}

static int write_out(struct object_writer *writer, const void *bytes, size_t size, struct err *err)
{
	if (look_at_room(writer, size, err) || (writer->fd < 0 && create_file(writer, err)) ||
	    io_write_all(writer->fd, bytes, size, writer->name, err))
		return -1;
	writer->unlooked_bytes += size;
	return 0;
}

/* Write whole blocks of what may become a large object. */
static int write_blocks(struct object_writer *writer, const void *bytes, size_t size,
                        struct err *err)
{
	return blocks_add(&writer->hashes, bytes, size, err) || write_out(writer, bytes, size, err)
	               ? -1
	               : 0;
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
			if (write_blocks(writer, writer->block, writer->held, err))
				return -1;
			writer->held = 0;
			continue;
		}
		/* What is surely not the whole content needs no copy. */
		if (!writer->held && writer->fd >= 0 && size >= BLOCK_BYTES) {
			part = size - size % BLOCK_BYTES;
			if (write_blocks(writer, next, part, err))
				return -1;
		} else {
			if (part > size)
				part = size;
			memcpy(writer->block + writer->held, next, part);
			writer->held += part;
		}
		next += part;
		size -= part;
	}
	return 0;
}

/* Give the written file its name in objects/. */
static int place(struct object_writer *writer, const struct digest *digest, struct err *err)
{
	const struct layout *layout = writer->layout;

	writer->unlooked_files++;
	/* An error of an earlier write may show here (NFS): the object has no name yet. */
	if (close(steal_fd(&writer->fd)))
		return err_set_sys(err, errno, "close tmp/%s", writer->name);
	if (layout_place(layout->tmp, writer->name, layout->objects, digest, err)) {
		if (err->sys != EISDIR)
			return err_context(err, "objects/");
		/* A folder lies there, where a damaged object was. */
		(void)object_put_aside(layout, digest, OBJECT_ANY_SIZE, -1);
		if (layout_place(layout->tmp, writer->name, layout->objects, digest, err))
			return err_context(err, "objects/");
	}
	writer->name[0] = '\0';
	return 0;
}

static bool can_be_shared(const struct object_writer *writer, const struct digest *digest,
                          uint64_t size)
{
	return writer->layout->trusts_objects && object_is_there(writer->layout, digest, size);
}

/* Write what is held, and for a large object the hashes: first, so that one that is found has them.
 */
static int finish(struct object_writer *writer, const struct digest *digest, struct err *err)
{
	const struct layout *layout = writer->layout;
	bool is_large = writer->size > STORE_IN_MEMORY_BYTES;
	bool is_shared = can_be_shared(writer, digest, writer->size);

	if (is_large &&
	    !(layout->trusts_objects && blocks_are_there(layout, digest, writer->size)) &&
	    (blocks_add(&writer->hashes, writer->block, writer->held, err) ||
	     blocks_write(layout, digest, writer->size, &writer->hashes, err)))
		return -1;
	if (is_shared)
		return 0;
	if ((writer->held || writer->fd < 0) && write_out(writer, writer->block, writer->held, err))
		return -1;
	return place(writer, digest, err);
}

int object_writer_end(struct object_writer *writer, struct digest *out_digest, uint64_t *out_size,
                      struct err *err)
{
	struct digest digest;
	uint64_t size = writer->size;
	int failed = hasher_end(writer->hasher, &digest, err) || finish(writer, &digest, err);

	drop_file(writer);
	buf_clear(&writer->hashes);
	writer->held = 0;
	writer->size = 0;
	if (failed)
		return -1;
	*out_digest = digest;
	*out_size = size;
	return 0;
}

void object_writer_reset(struct object_writer *writer)
{
	struct digest unused;
	struct err ignored;

	drop_file(writer);
	/* A digest that can't be ended can't be begun either: the next addition tells. */
	(void)!hasher_end(writer->hasher, &unused, &ignored);
	buf_clear(&writer->hashes);
	writer->held = 0;
	writer->size = 0;
}

int object_writer_put(struct object_writer *writer, const void *bytes, size_t size,
                      struct digest *out_digest, struct err *err)
{
	struct digest digest;
	uint64_t unused;

	/* One that has hashes of blocks. */
	if (size > STORE_IN_MEMORY_BYTES)
		return object_writer_add(writer, bytes, size, err) ||
		                       object_writer_end(writer, out_digest, &unused, err)
		               ? -1
		               : 0;
	if (hasher_add(writer->hasher, bytes, size, err) ||
	    hasher_end(writer->hasher, &digest, err))
		return -1;
	if (!can_be_shared(writer, &digest, size) &&
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

static int read_part(int fd, const struct digest *digest, unsigned char *bytes, size_t size,
                     uint64_t at, struct err *err)
{
	char name[LAYOUT_OBJECT_SIZE];

	if (!io_read_at(fd, bytes, size, at, layout_object_name(digest, name), err))
		return 0;
	/* It had its size when it was opened. */
	if (err->kind == ERR_FORMAT)
		err->kind = ERR_DIGEST;
	return -1;
}

static int compare(const struct digest *found, const struct digest *digest, struct err *err)
{
	char name[LAYOUT_OBJECT_SIZE];

	if (digest_equal(found, digest))
		return 0;
	return err_set(err, ERR_DIGEST, "object %s does not have the content of its name",
	               layout_object_name(digest, name));
}

int object_read(int fd, const struct digest *digest, uint64_t size, unsigned char *out_bytes,
                struct err *err)
{
	struct digest found;

	if (read_part(fd, digest, out_bytes, size, 0, err) ||
	    digest_of(DIGEST_SHA256, out_bytes, size, &found, err))
		return -1;
	return compare(&found, digest, err);
}

/* Hash it, block by block. */
static int hash_blocks(int fd, const struct digest *digest, uint64_t size, struct hasher *hasher,
                       struct buf *hashes, struct err *err)
{
	CLEANUP(cleanup_free) unsigned char *block = malloc(BLOCK_BYTES);
	uint64_t at = 0;

	if (!block)
		return err_set_sys(err, ENOMEM, "read an object");
	while (at < size) {
		size_t part = size - at < BLOCK_BYTES ? (size_t)(size - at) : BLOCK_BYTES;

		if (read_part(fd, digest, block, part, at, err) ||
		    hasher_add(hasher, block, part, err) ||
		    (hashes && blocks_add(hashes, block, part, err)))
			return -1;
		at += part;
	}
	return 0;
}

int object_verify(int fd, const struct digest *digest, uint64_t size, struct buf *hashes,
                  struct err *err)
{
	CLEANUP(cleanup_hasher) struct hasher *hasher = hasher_new(DIGEST_SHA256, err);
	struct digest found;

	if (!hasher || hash_blocks(fd, digest, size, hasher, hashes, err) ||
	    hasher_end(hasher, &found, err))
		return -1;
	return compare(&found, digest, err);
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

/* Whether what was moved came into its place after that which was found wrong. */
static bool is_newer(const struct layout *layout, const char *aside, uint64_t size, int fd)
{
	struct stat moved, opened;

	if (fstatat(layout->quarantine, aside, &moved, AT_SYMLINK_NOFOLLOW))
		return false;
	if (fd >= 0)
		return !fstat(fd, &opened) &&
		       (moved.st_ino != opened.st_ino || moved.st_dev != opened.st_dev);
	return S_ISREG(moved.st_mode) && (uint64_t)moved.st_size == size;
}

bool object_put_aside(const struct layout *layout, const struct digest *digest, uint64_t size,
                      int fd)
{
	char name[LAYOUT_OBJECT_SIZE];
	char aside[DIGEST_TEXT_SIZE];
	int failed;

	(void)layout_object_name(digest, name);
	(void)digest_hex(digest, aside);
	failed = renameat(layout->objects, name, layout->quarantine, aside);
	if (failed && errno != ENOENT) {
		/* A file there and a folder here, or the other way round. */
		object_forget_aside(layout, aside);
		failed = renameat(layout->objects, name, layout->quarantine, aside);
	}
	if (failed || !is_newer(layout, aside, size, fd))
		return true;
	/* Should yet another have come, it has the same content. */
	(void)renameat(layout->quarantine, aside, layout->objects, name);
	return false;
}

void object_forget_aside(const struct layout *layout, const char *name)
{
	if (unlinkat(layout->quarantine, name, 0) && (errno == EISDIR || errno == EPERM))
		(void)unlinkat(layout->quarantine, name, AT_REMOVEDIR);
}
