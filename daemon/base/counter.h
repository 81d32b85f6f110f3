/*
 * Counters that one thread writes and any thread reads, and that cost the writer
 * no more than a number that nobody reads: relaxed loads and stores. Those that
 * several threads write need atomic_fetch_add.
 */
#ifndef SPECMAN_BASE_COUNTER_H
#define SPECMAN_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

enum { COUNTER_LINE_BYTES = 64 }; /* of a processor's cache: threads that write keep apart */

/* Add; for the one thread that writes. */
static inline void counter_add(_Atomic uint64_t *count, uint64_t more)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + more,
	                      memory_order_relaxed);
}

static inline uint64_t counter_read(const _Atomic uint64_t *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

#endif
