/*
 * The hot cache: verified content in memory, bounded. A piece is a small object
 * as a whole, a block of a large one, or its list of block hashes.
 *
 * Pieces are immutable once they are kept, and counted: an answer sends them
 * without a copy, and one that is evicted meanwhile lives until it is put.
 * Everything may be called from any thread. One mutex guards the table; it is
 * held for a look-up or a bounded number of moves, never for reading, hashing,
 * allocating or freeing.
 *
 * Eviction is S3-FIFO (J. Yang, Y. Zhang, Z. Qiu, Y. Yue, K. V. Rashmi: "FIFO
 * queues are all you need for cache eviction", SOSP 2023): what is asked for
 * once leaves through a small queue of a tenth, so that one client which copies
 * the whole tree, or one large file, does not drive out what all clients ask
 * for; and a hit only counts, it moves nothing.
 */
#ifndef SPECMAN_STORAGE_CACHE_H
#define SPECMAN_STORAGE_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

struct cache;
struct cache_piece;

enum {
	CACHE_WHOLE = 0,         /* the part of a small object */
	CACHE_HASHES = INT32_MAX /* the part of a large object's list of hashes */
};

/* A part of an object: CACHE_WHOLE, CACHE_HASHES, or the number of a block. */
struct cache_key {
	struct digest object; /* SHA-256 */
	uint32_t part;
};

struct cache_counters {
	uint64_t hits;
	uint64_t misses;
	uint64_t evictions;
	uint64_t pieces;
	uint64_t bytes; /* with all that a piece and the table cost beside the content */
	uint64_t limit;
};

/* At most `limit` bytes, its own tables included; 0 keeps nothing. */
MUST_CHECK struct cache *cache_new(size_t limit, struct err *err);

/* Pieces that are still held live on until they are put. NULL is fine. */
void cache_free(struct cache *cache);

/* A reference to a piece, or NULL when it is not there: the caller loads it then. */
struct cache_piece *cache_get(struct cache *cache, const struct cache_key *key);

/* A new piece with one reference, for the caller to fill. Nobody else knows it. */
MUST_CHECK struct cache_piece *cache_piece_new(const struct cache_key *key, size_t size,
                                               struct err *err);

/*
 * Keep a filled piece, whose reference the caller gives. Returns the reference
 * to go on with: when two threads loaded the same piece at the same time, that
 * to the one that came first. (Nobody waits for another's disk; at the most, each
 * worker loads a piece once.) A piece over the limit is returned without being kept.
 */
struct cache_piece *cache_keep_take(struct cache *cache, struct cache_piece *piece);

void cache_piece_put(struct cache_piece *piece);

/* Its content; to be written only before it is kept. */
unsigned char *cache_piece_bytes(struct cache_piece *piece);
size_t cache_piece_size(const struct cache_piece *piece);

void cache_count(struct cache *cache, struct cache_counters *out_counters);

#endif
