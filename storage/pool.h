/*
 * A pool of strings: each stays where it is until all of them go. A million short
 * names take a third of what they would as allocations of their own.
 */
#ifndef SPECMAN_STORAGE_POOL_H
#define SPECMAN_STORAGE_POOL_H

#include <stddef.h>

/* Begins as all zero. */
struct pool {
	struct pool_chunk *chunks; /* the one in use first */
	size_t room;               /* bytes of that one */
	size_t bytes;              /* of all, with what they cost */
};

void pool_release(struct pool *pool);

/* A copy of `length` bytes, with a NUL behind them. NULL without memory. */
const char *pool_keep(struct pool *pool, const char *text, size_t length);

#endif
