/*
 * Contents of files; see storage.h. Nothing is given out that was not compared
 * with a hash after it was read: a small object with its name, a block of a
 * large one with the list that was made when the object was written (blocks.h).
 * So no request waits for more than one MiB to be hashed (that list of an object
 * of 4 GiB is one, too), and damage that comes after the first read is found as well.
 *
 * A store that is open for reading only takes no list from the disk: it hashes a
 * large object as a whole before the first byte is given out, and makes the list
 * meanwhile, in memory. What the writer does to the object then does not matter.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "blocks.h"
#include "cache.h"
#include "object.h"
#include "store.h"

DEFINE_CLEANUP(cleanup_piece, struct cache_piece, cache_piece_put);

/* A large object under way. The descriptor keeps it readable when it is swept meanwhile. */
struct store_reader {
	struct store *store;
	struct digest digest;
	uint64_t size;
	int fd;
	struct cache_piece *hashes;
	char name[128]; /* for the observer */
};

static void reader_free(struct store_reader *reader)
{
	cleanup_fd(&reader->fd);
	cache_piece_put(reader->hashes);
	free(reader);
}

static int open_object(struct store *store, const struct digest *digest, uint64_t size,
                       const char *name, struct err *err)
{
	int fd;

	if (damage_is_known(store, digest))
		return err_set(err, ERR_DIGEST, "%s is damaged on disk", name);
	fd = object_open(&store->layout, digest, size, err);
	return fd < 0 ? damage_judge(store, digest, size, -1, name, err) : fd;
}

/* ---- small objects ---- */

static struct cache_piece *load_whole(struct store *store, const struct digest *digest,
                                      uint64_t size, const char *name, struct err *err)
{
	const struct cache_key key = { *digest, CACHE_WHOLE };
	CLEANUP(cleanup_fd) int fd = open_object(store, digest, size, name, err);
	CLEANUP(cleanup_piece) struct cache_piece *piece = NULL;

	if (fd < 0)
		return NULL;
	piece = cache_piece_new(&key, (size_t)size, err);
	if (!piece)
		return NULL;
	if (object_read(fd, digest, size, cache_piece_bytes(piece), err)) {
		(void)damage_judge(store, digest, size, fd, name, err);
		return NULL;
	}
	return cache_keep_take(store->cache, STEAL(piece));
}

static int open_small(struct store *store, const struct digest *digest, uint64_t size,
                      const char *name, struct store_content *out_content, struct err *err)
{
	struct cache_piece *piece = cache_get(store->cache,
	                                      &(struct cache_key){ *digest, CACHE_WHOLE });

	if (!piece)
		piece = load_whole(store, digest, size, name, err);
	if (!piece)
		return -1;
	*out_content = (struct store_content){ .bytes = cache_piece_bytes(piece), .piece = piece };
	return 0;
}

/* ---- large objects ---- */

/* The list that was made when the object was written. */
static int read_hashes(const struct store_reader *reader, unsigned char *out_hashes,
                       struct err *err)
{
	struct store *store = reader->store;

	if (!blocks_read(&store->layout, &reader->digest, reader->size, out_hashes, err))
		return 0;
	if (err->kind == ERR_NOT_FOUND)
		store_want_hashes(store, &reader->digest, reader->size);
	return -1;
}

/* One of its own, from an object that is whole. */
static int make_hashes(const struct store_reader *reader, unsigned char *out_hashes,
                       struct err *err)
{
	CLEANUP(buf_release) struct buf hashes = BUF_INIT(BLOCKS_MAX_BYTES);

	if (object_verify(reader->fd, &reader->digest, reader->size, &hashes, err))
		return damage_judge(reader->store, &reader->digest, reader->size, reader->fd,
		                    reader->name, err);
	memcpy(out_hashes, hashes.data, hashes.size);
	return 0;
}

static struct cache_piece *load_hashes(const struct store_reader *reader, struct err *err)
{
	const struct cache_key key = { reader->digest, CACHE_HASHES };
	struct cache *cache = reader->store->cache;
	struct cache_piece *piece = cache_get(cache, &key);
	unsigned char *hashes;

	if (piece)
		return piece;
	piece = cache_piece_new(&key, blocks_size(reader->size), err);
	if (!piece)
		return NULL;
	hashes = cache_piece_bytes(piece);
	if (!(reader->store->is_reader ? make_hashes(reader, hashes, err)
	                               : read_hashes(reader, hashes, err)))
		return cache_keep_take(cache, piece);
	cache_piece_put(piece);
	return NULL;
}

static int open_large(struct store *store, const struct digest *digest, uint64_t size,
                      const char *name, struct store_content *out_content, struct err *err)
{
	struct store_reader *reader = malloc(sizeof(*reader));

	if (!reader)
		return err_set_sys(err, ENOMEM, "read %s", name);
	*reader = (struct store_reader){ .store = store, .digest = *digest, .size = size };
	(void)snprintf(reader->name, sizeof(reader->name), "%s", name);
	reader->fd = open_object(store, digest, size, name, err);
	reader->hashes = reader->fd < 0 ? NULL : load_hashes(reader, err);
	if (!reader->hashes) {
		reader_free(reader);
		return -1;
	}
	*out_content = (struct store_content){ .reader = reader };
	return 0;
}

static int read_block(const struct store_reader *reader, uint64_t number, unsigned char *bytes,
                      size_t size, struct err *err)
{
	if (io_read_at(reader->fd, bytes, size, number * BLOCK_BYTES, reader->name, err)) {
		/* It had its size when it was opened. */
		if (err->kind == ERR_FORMAT)
			err->kind = ERR_DIGEST;
		return -1;
	}
	return blocks_check(cache_piece_bytes(reader->hashes), number, bytes, size, err);
}

static struct cache_piece *load_block(const struct store_reader *reader, uint64_t number,
                                      struct err *err)
{
	const struct cache_key key = { reader->digest, (uint32_t)number };
	uint64_t left = reader->size - number * BLOCK_BYTES;
	struct cache_piece *piece = cache_get(reader->store->cache, &key);

	if (piece)
		return piece;
	piece = cache_piece_new(&key, left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES, err);
	if (!piece)
		return NULL;
	if (!read_block(reader, number, cache_piece_bytes(piece), cache_piece_size(piece), err))
		return cache_keep_take(reader->store->cache, piece);
	(void)damage_judge(reader->store, &reader->digest, reader->size, reader->fd, reader->name,
	                   err);
	cache_piece_put(piece);
	return NULL;
}

int store_content_read(const struct store_content *content, uint64_t at, void *bytes, size_t size,
                       size_t *out_read, struct err *err)
{
	const struct store_reader *reader = content->reader;
	size_t first = (size_t)(at % BLOCK_BYTES);
	CLEANUP(cleanup_piece)
	struct cache_piece *piece = load_block(reader, at / BLOCK_BYTES, err);
	size_t part;

	if (!piece)
		return -1;
	part = cache_piece_size(piece) - first;
	if (part > size)
		part = size;
	memcpy(bytes, cache_piece_bytes(piece) + first, part);
	*out_read = part;
	return 0;
}

/* ---- all ---- */

int store_content_open_object(struct store *store, const struct digest *digest, uint64_t size,
                              const char *name, struct store_content *out_content, struct err *err)
{
	if (size > STORE_IN_MEMORY_BYTES)
		return open_large(store, digest, size, name, out_content, err);
	if (size)
		return open_small(store, digest, size, name, out_content, err);
	*out_content = (struct store_content){ .bytes = "" };
	return 0;
}

int store_content_open(struct store *store, const struct store_entry *file,
                       struct store_content *out_content, struct err *err)
{
	const struct digest content = store_content_digest(file);

	return store_content_open_object(store, &content, file->size, file->name, out_content, err);
}

int store_twin_open(struct store *store, const struct store_entry *file,
                    struct store_content *out_content, struct err *err)
{
	const struct digest twin = store_twin_digest(file);

	return store_content_open_object(store, &twin, file->twin_size, file->name, out_content,
	                                 err);
}

void store_content_release(struct store_content *content)
{
	cache_piece_put(content->piece);
	if (content->reader)
		reader_free(content->reader);
	*content = (struct store_content){ .bytes = NULL };
}
