/*
 * The hashes of a large object's blocks, so that any part of it can be checked
 * without reading the rest: blocks/ab/cdef…, beside objects/ab/cdef…, made
 * while the object is written. The file is
 *
 *	"specman-blocks 1 <object> <size>\n", a SHA-256 (32 bytes) of each block
 *	of 128 KiB (the last is shorter), and the SHA-256 of all before
 *
 * so a file that is damaged is known as such. It is no more than a short cut:
 * one that is missing or damaged is made anew from an object whose own digest
 * has been checked.
 */
#ifndef SPECMAN_STORAGE_BLOCKS_H
#define SPECMAN_STORAGE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "layout.h"
#include "storage.h"

enum { BLOCK_BYTES = STORE_BLOCK_BYTES, BLOCK_HASH_BYTES = 32 };

/* Room for the hashes of the largest object: 64 GiB. */
#define BLOCKS_MAX_BYTES ((size_t)16 << 20)

/* Bytes of the hashes of an object. */
size_t blocks_size(uint64_t object_size);

/*
 * Append the hashes of the blocks in bytes, which start at the beginning of a
 * block; only the object's last may be short.
 */
MUST_CHECK int blocks_add(struct buf *hashes, const void *bytes, size_t size, struct err *err);

/* Put the hashes of all blocks of an object into blocks/; durable after syncfs. */
MUST_CHECK int blocks_write(const struct layout *layout, const struct digest *object, uint64_t size,
                            const struct buf *hashes, struct err *err);

/* Whether the file is there. Reads no content. */
bool blocks_are_there(const struct layout *layout, const struct digest *object, uint64_t size);

/* Read the hashes: blocks_size(size) bytes. ERR_NOT_FOUND when they are missing or damaged. */
MUST_CHECK int blocks_read(const struct layout *layout, const struct digest *object, uint64_t size,
                           unsigned char *out_hashes, struct err *err);

/* Whether this is the content of a block. */
MUST_CHECK int blocks_check(const unsigned char *hashes, uint64_t number, const void *bytes,
                            size_t size, struct err *err);

#endif
