/* Reading again what was hashed before; see proven.h. */
#include "proven.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "blocks.h"

struct proven {
	int fd;
	const struct digest *digest;
	const char *name;
	struct hasher *hasher; /* NULL without a digest */
	uint64_t size;
	uint64_t at;
	struct buf hashes; /* of the blocks, once there is an index */
	bool has_index;
	unsigned char block[BLOCK_BYTES];
};

DEFINE_CLEANUP(cleanup_proven, struct proven, proven_free);

struct proven *proven_new(int fd, const struct digest *digest, const char *name, struct err *err)
{
	CLEANUP(cleanup_proven) struct proven *proven = calloc(1, sizeof(*proven));
	struct stat st;

	if (!proven) {
		(void)err_set_sys(err, ENOMEM, "read %s", name);
		return NULL;
	}
	proven->fd = fd;
	proven->digest = digest;
	proven->name = name;
	proven->hashes = (struct buf)BUF_INIT(BLOCKS_MAX_BYTES);
	if (fstat(fd, &st)) {
		(void)err_set_sys(err, errno, "read %s", name);
		return NULL;
	}
	proven->size = (uint64_t)st.st_size;
	if (digest) {
		proven->hasher = hasher_new(digest->algorithm, err);
		if (!proven->hasher)
			return NULL;
	}
	return STEAL(proven);
}

void proven_free(struct proven *proven)
{
	if (!proven)
		return;
	hasher_free(proven->hasher);
	buf_release(&proven->hashes);
	free(proven);
}

/* Fill the block from offset `from`: its bytes, fewer at the end of the file alone. */
static int fill_block(struct proven *proven, uint64_t from, size_t *out_size, struct err *err)
{
	size_t size = 0;

	while (size < BLOCK_BYTES) {
		ssize_t n = pread(proven->fd, proven->block + size, BLOCK_BYTES - size,
		                  (off_t)(from + size));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_sys(err, errno, "read %s", proven->name);
		if (!n)
			break;
		size += (size_t)n;
	}
	*out_size = size;
	return 0;
}

static int next_in_order(struct proven *proven, size_t *out_size, struct err *err)
{
	if (fill_block(proven, proven->at, out_size, err))
		return -1;
	proven->at += *out_size;
	return proven->hasher && *out_size
	               ? hasher_add(proven->hasher, proven->block, *out_size, err)
	               : 0;
}

/* The rest of the block that `at` is in, once the whole block is as it was. */
static int next_by_index(struct proven *proven, const void **out_bytes, size_t *out_size,
                         struct err *err)
{
	const uint64_t number = proven->at / BLOCK_BYTES;
	const size_t skip = (size_t)(proven->at % BLOCK_BYTES);
	struct err reason;
	size_t size;

	*out_size = 0;
	if (proven->at >= proven->size)
		return 0;
	if (fill_block(proven, number * BLOCK_BYTES, &size, err))
		return -1;
	if (proven->hasher && blocks_check((const unsigned char *)proven->hashes.data, number,
	                                   proven->block, size, &reason)) {
		if (reason.kind == ERR_DIGEST)
			return err_set(err, ERR_DIGEST,
			               "%s changed on disk while it was read, at byte %" PRIu64
			               " or behind",
			               proven->name, number * BLOCK_BYTES);
		*err = reason;
		return -1;
	}
	if (size <= skip)
		return 0;
	*out_bytes = proven->block + skip;
	*out_size = size - skip;
	proven->at += *out_size;
	return 0;
}

int proven_next(struct proven *proven, const void **out_bytes, size_t *out_size, struct err *err)
{
	if (proven->has_index)
		return next_by_index(proven, out_bytes, out_size, err);
	*out_bytes = proven->block;
	return next_in_order(proven, out_size, err);
}

static int compare(struct proven *proven, struct err *err)
{
	struct digest found;
	char text[DIGEST_TEXT_SIZE];

	if (hasher_end(proven->hasher, &found, err))
		return -1;
	if (digest_equal(&found, proven->digest))
		return 0;
	return err_set(err, ERR_DIGEST,
	               "%s changed on disk since it was verified: its digest is %s now",
	               proven->name, digest_format(&found, text));
}

/* Read to the end and compare; the hashes of the blocks are wanted when none was read before. */
static int read_rest(struct proven *proven, bool with_hashes, const struct cancel *cancel,
                     struct err *err)
{
	size_t size;

	if (!proven->hasher)
		return 0;
	do {
		if (cancel_check(cancel, err) || next_in_order(proven, &size, err) ||
		    (with_hashes && blocks_add(&proven->hashes, proven->block, size, err)))
			return -1;
	} while (size);
	return compare(proven, err);
}

int proven_index(struct proven *proven, const struct cancel *cancel, struct err *err)
{
	if (read_rest(proven, true, cancel, err))
		return -1;
	/* What was hashed is what there is. */
	if (proven->hasher)
		proven->size = proven->at;
	proven->at = 0;
	proven->has_index = true;
	return 0;
}

void proven_seek(struct proven *proven, uint64_t at)
{
	proven->at = at;
}

uint64_t proven_at(const struct proven *proven)
{
	return proven->at;
}

uint64_t proven_size(const struct proven *proven)
{
	return proven->size;
}

int proven_end(struct proven *proven, const struct cancel *cancel, struct err *err)
{
	return proven->has_index ? 0 : read_rest(proven, false, cancel, err);
}
