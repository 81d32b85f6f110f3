/* Strings that stay; see pool.h. */
#include "pool.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 256 * 1024 };

struct pool_chunk {
	struct pool_chunk *next;
	size_t used;
	char bytes[];
};

void pool_release(struct pool *pool)
{
	while (pool->chunks) {
		struct pool_chunk *chunk = pool->chunks;

		pool->chunks = chunk->next;
		free(chunk);
	}
	*pool = (struct pool){ .chunks = NULL };
}

const char *pool_keep(struct pool *pool, const char *text, size_t length)
{
	struct pool_chunk *chunk = pool->chunks;
	char *kept;

	if (!chunk || pool->room - chunk->used < length + 1) {
		size_t room = length + 1 > CHUNK_BYTES ? length + 1 : CHUNK_BYTES;

		chunk = malloc(sizeof(*chunk) + room);
		if (!chunk)
			return NULL;
		*chunk = (struct pool_chunk){ .next = pool->chunks };
		pool->chunks = chunk;
		pool->room = room;
		pool->bytes += sizeof(*chunk) + room;
	}
	kept = chunk->bytes + chunk->used;
	memcpy(kept, text, length);
	kept[length] = '\0';
	chunk->used += length + 1;
	return kept;
}
