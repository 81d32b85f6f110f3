/* The hot cache; see cache.h. */
#include "cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"

enum {
	KEY_BYTES = 32,
	PAGE_BYTES = 4096,
	MAPPED_BYTES = 32 * 1024, /* from here on a piece has pages of its own */
	MALLOC_BYTES = 16,        /* what an allocation costs beside its size */
	BYTES_PER_PLACE = 1024,   /* of the limit: so many bytes for a place in the table */
	SMALL_SHARE = 10,         /* the small queue is a tenth, as in the paper */
	USES_MAX = 3,             /* a counter of two bits, as in the paper */
	MOVES_MAX = 64, /* second chances at one insertion: bounds the time under the mutex */
};

struct cache_piece {
	unsigned char object[KEY_BYTES];
	uint32_t part;
	unsigned char uses; /* since it came into its queue; guarded by the cache's mutex */
	bool is_mapped;
	atomic_uint references;
	struct cache_piece *chained; /* next in its place of the table */
	struct cache_piece *younger; /* next in its queue, or in a list of victims */
	size_t size;
	size_t cost; /* all that it takes */
	unsigned char bytes[];
};

/* First in, first out. */
struct queue {
	struct cache_piece *oldest;
	struct cache_piece *youngest;
	size_t bytes;
};

struct cache {
	pthread_mutex_t mutex; /* guards all below but limit, places and mask */
	size_t limit;          /* for pieces: the tables' bytes are taken off */
	size_t table_bytes;
	size_t mask;
	struct cache_piece **places; /* chains */
	uint32_t *ghosts; /* prints of pieces that left the small queue unused; 0: none */
	struct queue small;
	struct queue main;
	uint64_t pieces;
	uint64_t hits;
	uint64_t misses;
	uint64_t evictions;
};

DEFINE_CLEANUP(cleanup_cache, struct cache, cache_free);

struct cache *cache_new(size_t limit, struct err *err)
{
	CLEANUP(cleanup_cache) struct cache *cache = calloc(1, sizeof(*cache));
	size_t count = 1;

	if (cache) {
		(void)pthread_mutex_init(&cache->mutex, NULL);
		while (count * BYTES_PER_PLACE < limit)
			count *= 2;
		cache->mask = count - 1;
		cache->table_bytes = count *
		                     (sizeof(struct cache_piece *) + sizeof(*cache->ghosts));
		cache->limit = limit > cache->table_bytes ? limit - cache->table_bytes : 0;
		cache->places = calloc(count, sizeof(struct cache_piece *));
		cache->ghosts = calloc(count, sizeof(*cache->ghosts));
	}
	if (!cache || !cache->places || !cache->ghosts) {
		(void)err_set_sys(err, ENOMEM, "cache");
		return NULL;
	}
	return STEAL(cache);
}

static void put_list(struct cache_piece *piece)
{
	while (piece) {
		struct cache_piece *next = piece->younger;

		cache_piece_put(piece);
		piece = next;
	}
}

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	put_list(cache->small.oldest);
	put_list(cache->main.oldest);
	free(cache->places);
	free(cache->ghosts);
	(void)pthread_mutex_destroy(&cache->mutex);
	free(cache);
}

/* ---- pieces ---- */

/*
 * Pieces come and go in all sizes, from all threads: in malloc's heaps, holes
 * would grow to as much as the pieces themselves. Pages are given back at once.
 */
static struct cache_piece *allocate(size_t size)
{
	size_t cost = (sizeof(struct cache_piece) + size + PAGE_BYTES - 1) / PAGE_BYTES *
	              PAGE_BYTES;
	struct cache_piece *piece = MAP_FAILED;

	if (size >= MAPPED_BYTES)
		piece = mmap(NULL, cost, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		             0);
	/* Mappings may run out (vm.max_map_count) where memory does not. */
	if (piece == MAP_FAILED) {
		piece = malloc(sizeof(*piece) + size);
		if (!piece)
			return NULL;
		piece->is_mapped = false;
		piece->cost = sizeof(*piece) + size + MALLOC_BYTES;
		return piece;
	}
	piece->is_mapped = true;
	piece->cost = cost;
	return piece;
}

struct cache_piece *cache_piece_new(const struct cache_key *key, size_t size, struct err *err)
{
	struct cache_piece *piece = allocate(size);

	if (!piece) {
		(void)err_set_sys(err, ENOMEM, "%zu bytes of content", size);
		return NULL;
	}
	memcpy(piece->object, key->object.bytes, KEY_BYTES);
	piece->part = key->part;
	piece->uses = 0;
	piece->chained = NULL;
	piece->younger = NULL;
	piece->size = size;
	atomic_init(&piece->references, 1);
	return piece;
}

void cache_piece_put(struct cache_piece *piece)
{
	if (!piece || atomic_fetch_sub(&piece->references, 1) != 1)
		return;
	if (piece->is_mapped)
		(void)munmap(piece, piece->cost);
	else
		free(piece);
}

unsigned char *cache_piece_bytes(struct cache_piece *piece)
{
	return piece->bytes;
}

size_t cache_piece_size(const struct cache_piece *piece)
{
	return piece->size;
}

/* ---- the table ---- */

/* A digest is its own hash; the parts of one object are spread by an odd factor (2^64 / phi). */
static uint64_t hash_of(const unsigned char *object, uint32_t part)
{
	uint64_t hash;

	memcpy(&hash, object, sizeof(hash));
	return hash + part * 0x9e3779b97f4a7c15ULL;
}

static uint64_t hash_of_piece(const struct cache_piece *piece)
{
	return hash_of(piece->object, piece->part);
}

static struct cache_piece *find(const struct cache *cache, const unsigned char *object,
                                uint32_t part)
{
	struct cache_piece *piece = cache->places[hash_of(object, part) & cache->mask];

	while (piece && (piece->part != part || memcmp(piece->object, object, KEY_BYTES) != 0))
		piece = piece->chained;
	return piece;
}

static void unchain(struct cache *cache, struct cache_piece *piece)
{
	struct cache_piece **at = &cache->places[hash_of_piece(piece) & cache->mask];

	while (*at != piece)
		at = &(*at)->chained;
	*at = piece->chained;
}

static uint32_t *ghost_of(struct cache *cache, const struct cache_piece *piece, uint32_t *out_print)
{
	uint64_t hash = hash_of_piece(piece);

	/* Other bits than those that choose the place. */
	*out_print = (uint32_t)(hash >> 32) | 1;
	return &cache->ghosts[hash & cache->mask];
}

/* ---- the queues ---- */

static void push(struct queue *queue, struct cache_piece *piece)
{
	piece->younger = NULL;
	if (queue->youngest)
		queue->youngest->younger = piece;
	else
		queue->oldest = piece;
	queue->youngest = piece;
	queue->bytes += piece->cost;
}

static struct cache_piece *pop(struct queue *queue)
{
	struct cache_piece *piece = queue->oldest;

	queue->oldest = piece->younger;
	if (!queue->oldest)
		queue->youngest = NULL;
	queue->bytes -= piece->cost;
	return piece;
}

/* One step towards room: a piece moves on, or leaves and is returned. */
static struct cache_piece *step(struct cache *cache, bool must_leave)
{
	bool from_small = cache->small.oldest &&
	                  (!cache->main.oldest || cache->small.bytes > cache->limit / SMALL_SHARE);
	struct cache_piece *piece = pop(from_small ? &cache->small : &cache->main);

	if (!must_leave && piece->uses > (from_small ? 1 : 0)) {
		piece->uses = from_small ? 0 : (unsigned char)(piece->uses - 1);
		push(&cache->main, piece);
		return NULL;
	}
	if (from_small) {
		uint32_t print;
		uint32_t *ghost = ghost_of(cache, piece, &print);

		*ghost = print;
	}
	unchain(cache, piece);
	cache->pieces--;
	cache->evictions++;
	return piece;
}

/* Make room; returns what had to leave, for the caller to put. */
static struct cache_piece *make_room(struct cache *cache, size_t bytes)
{
	struct cache_piece *victims = NULL;

	for (unsigned moves = 0; cache->small.bytes + cache->main.bytes + bytes > cache->limit;
	     moves++) {
		struct cache_piece *victim = step(cache, moves >= MOVES_MAX);

		if (victim) {
			victim->younger = victims;
			victims = victim;
		}
	}
	return victims;
}

static void insert(struct cache *cache, struct cache_piece *piece)
{
	struct cache_piece **place = &cache->places[hash_of_piece(piece) & cache->mask];
	uint32_t print;
	uint32_t *ghost = ghost_of(cache, piece, &print);

	/* What comes back soon after it left is asked for more than once. */
	push(*ghost == print ? &cache->main : &cache->small, piece);
	if (*ghost == print)
		*ghost = 0;
	piece->chained = *place;
	*place = piece;
	cache->pieces++;
}

static void use(struct cache_piece *piece)
{
	atomic_fetch_add(&piece->references, 1);
	if (piece->uses < USES_MAX)
		piece->uses++;
}

struct cache_piece *cache_get(struct cache *cache, const struct cache_key *key)
{
	struct cache_piece *piece;

	(void)pthread_mutex_lock(&cache->mutex);
	piece = find(cache, key->object.bytes, key->part);
	if (piece) {
		use(piece);
		cache->hits++;
	} else {
		cache->misses++;
	}
	(void)pthread_mutex_unlock(&cache->mutex);
	return piece;
}

struct cache_piece *cache_keep_take(struct cache *cache, struct cache_piece *piece)
{
	struct cache_piece *victims = NULL;
	struct cache_piece *other;

	if (piece->cost > cache->limit)
		return piece;
	(void)pthread_mutex_lock(&cache->mutex);
	other = find(cache, piece->object, piece->part);
	if (other) {
		use(other);
	} else {
		victims = make_room(cache, piece->cost);
		insert(cache, piece);
		atomic_fetch_add(&piece->references, 1); /* the cache's own */
	}
	(void)pthread_mutex_unlock(&cache->mutex);
	put_list(victims);
	if (!other)
		return piece;
	cache_piece_put(piece);
	return other;
}

void cache_count(struct cache *cache, struct cache_counters *out_counters)
{
	(void)pthread_mutex_lock(&cache->mutex);
	*out_counters = (struct cache_counters){
		.hits = cache->hits,
		.misses = cache->misses,
		.evictions = cache->evictions,
		.pieces = cache->pieces,
		.bytes = cache->small.bytes + cache->main.bytes + cache->table_bytes,
		.limit = cache->limit + cache->table_bytes,
	};
	(void)pthread_mutex_unlock(&cache->mutex);
}
