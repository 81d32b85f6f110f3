/*
 * What one worker counts: written by its thread, read by any, each worker's on
 * cache lines of its own.
 */
#ifndef SPECMAN_TLS_COUNTS_H
#define SPECMAN_TLS_COUNTS_H

#include "base/counter.h"
#include "tls.h"

struct tls_counts {
	_Alignas(COUNTER_LINE_BYTES) _Atomic uint64_t accepted;
	_Atomic uint64_t closed;
	_Atomic uint64_t refused[TLS_CAPS];
	_Atomic uint64_t handshakes[TLS_VERSIONS];
	_Atomic uint64_t resumed[TLS_VERSIONS];
	_Atomic uint64_t failed[TLS_HANDSHAKE_ENDS];
	_Atomic uint64_t written_bytes;
};

/* Add a worker's figures to a sum. */
static inline void counts_add(const struct tls_counts *counts, struct tls_counters *sum)
{
	/* The two are not of one moment. */
	uint64_t closed = counter_read(&counts->closed);
	uint64_t accepted = counter_read(&counts->accepted);

	sum->accepted += accepted;
	sum->open += accepted > closed ? accepted - closed : 0;
	sum->written_bytes += counter_read(&counts->written_bytes);
	for (int i = 0; i < TLS_CAPS; i++)
		sum->refused[i] += counter_read(&counts->refused[i]);
	for (int i = 0; i < TLS_HANDSHAKE_ENDS; i++)
		sum->failed[i] += counter_read(&counts->failed[i]);
	for (int i = 0; i < TLS_VERSIONS; i++) {
		sum->handshakes[i] += counter_read(&counts->handshakes[i]);
		sum->resumed[i] += counter_read(&counts->resumed[i]);
	}
}

#endif
