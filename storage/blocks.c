/* Hashes of blocks; see blocks.h. */
#include "blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

enum { HEAD_SIZE = 128 };

size_t blocks_size(uint64_t object_size)
{
	return (size_t)((object_size + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_HASH_BYTES);
}

int blocks_add(struct buf *hashes, const void *bytes, size_t size, struct err *err)
{
	const unsigned char *next = bytes;
	struct digest digest;

	while (size) {
		size_t part = size < BLOCK_BYTES ? size : BLOCK_BYTES;

		if (digest_of(DIGEST_SHA256, next, part, &digest, err) ||
		    buf_add(hashes, digest.bytes, BLOCK_HASH_BYTES, err))
			return -1;
		next += part;
		size -= part;
	}
	return 0;
}

static size_t write_head(const struct digest *object, uint64_t size, char head[static HEAD_SIZE])
{
	char hex[DIGEST_TEXT_SIZE];

	return (size_t)snprintf(head, HEAD_SIZE, "specman-blocks 1 %.64s %" PRIu64 "\n",
	                        digest_hex(object, hex), size);
}

int blocks_write(const struct layout *layout, const struct digest *object, uint64_t size,
                 const struct buf *hashes, struct err *err)
{
	CLEANUP(buf_release) struct buf file = BUF_INIT(BLOCKS_MAX_BYTES + HEAD_SIZE);
	CLEANUP(cleanup_fd) int fd = -1;
	char head[HEAD_SIZE], name[LAYOUT_TMP_SIZE];
	struct digest digest;

	if (buf_add(&file, head, write_head(object, size, head), err) ||
	    buf_add(&file, hashes->data, hashes->size, err) ||
	    digest_of(DIGEST_SHA256, file.data, file.size, &digest, err) ||
	    buf_add(&file, digest.bytes, BLOCK_HASH_BYTES, err))
		return -1;
	fd = layout_tmp_create(layout, name, err);
	if (fd < 0)
		return -1;
	if (!io_write_all(fd, file.data, file.size, name, err)) {
		if (close(steal_fd(&fd)))
			(void)err_set_sys(err, errno, "close tmp/%s", name);
		else if (!layout_place(layout->tmp, name, layout->blocks, object, err))
			return 0;
	}
	(void)unlinkat(layout->tmp, name, 0);
	return -1;
}

bool blocks_are_there(const struct layout *layout, const struct digest *object, uint64_t size)
{
	char name[LAYOUT_OBJECT_SIZE], head[HEAD_SIZE];
	struct stat st;

	return !fstatat(layout->blocks, layout_object_name(object, name), &st,
	                AT_SYMLINK_NOFOLLOW) &&
	       S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size ==
	               write_head(object, size, head) + blocks_size(size) + BLOCK_HASH_BYTES;
}

static int read_file(int fd, const struct digest *object, uint64_t size, unsigned char *out_hashes,
                     struct err *err)
{
	char head[HEAD_SIZE], found[HEAD_SIZE];
	size_t length = write_head(object, size, head);
	unsigned char promised[BLOCK_HASH_BYTES];
	struct hasher *hasher;
	struct digest digest;
	int failed;

	if (io_read_at(fd, found, length, 0, "blocks", err) ||
	    io_read_at(fd, out_hashes, blocks_size(size), length, "blocks", err) ||
	    io_read_at(fd, promised, sizeof(promised), length + blocks_size(size), "blocks", err))
		return -1;
	hasher = hasher_new(DIGEST_SHA256, err);
	if (!hasher)
		return -1;
	failed = hasher_add(hasher, found, length, err) ||
	         hasher_add(hasher, out_hashes, blocks_size(size), err) ||
	         hasher_end(hasher, &digest, err);
	hasher_free(hasher);
	if (failed)
		return -1;
	if (memcmp(found, head, length) != 0 ||
	    memcmp(digest.bytes, promised, sizeof(promised)) != 0)
		return err_set(err, ERR_FORMAT, "its hash differs");
	return 0;
}

int blocks_read(const struct layout *layout, const struct digest *object, uint64_t size,
                unsigned char *out_hashes, struct err *err)
{
	char name[LAYOUT_OBJECT_SIZE];
	CLEANUP(cleanup_fd)
	int fd = blocks_are_there(layout, object, size)
	                 ? openat(layout->blocks, layout_object_name(object, name),
	                          O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
	                 : -1;

	if (fd >= 0 && !read_file(fd, object, size, out_hashes, err))
		return 0;
	return err_set(err, ERR_NOT_FOUND, "the hashes of object %s are missing or damaged",
	               layout_object_name(object, name));
}

int blocks_check(const unsigned char *hashes, uint64_t number, const void *bytes, size_t size,
                 struct err *err)
{
	struct digest digest;

	if (digest_of(DIGEST_SHA256, bytes, size, &digest, err))
		return -1;
	if (memcmp(digest.bytes, hashes + number * BLOCK_HASH_BYTES, BLOCK_HASH_BYTES) != 0)
		return err_set(err, ERR_DIGEST, "block %" PRIu64 " does not have its content",
		               number);
	return 0;
}
