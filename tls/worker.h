/* One worker: a thread with its listening sockets, its epoll loop and its backend. */
#ifndef SPECMAN_TLS_WORKER_H
#define SPECMAN_TLS_WORKER_H

#include <stdint.h>

#include "base/err.h"
#include "caps.h"
#include "tls.h"

struct worker;
struct credentials;
struct tls_counts;

/*
 * Make a worker and its backend's instance; takes the `count` listening
 * sockets of the heap array over, also on failure. settings, credentials and caps
 * must outlive it. NULL on error.
 */
MUST_CHECK struct worker *worker_new_take(const struct tls_settings *settings, unsigned index,
                                          struct credentials *credentials, struct caps *caps,
                                          int *listeners, size_t count, struct err *err);

/* Start its thread, which has all signals blocked. */
MUST_CHECK int worker_start(struct worker *worker, struct err *err);

/* Ask it to drain and end; any thread. */
void worker_stop(struct worker *worker, int grace_ms);

/* Wait for its thread, if it was started. */
void worker_join(struct worker *worker);

/* Free it once its thread has ended. NULL is fine. */
void worker_free(struct worker *worker);

/* What it has counted; any thread. */
const struct tls_counts *worker_counts(const struct worker *worker);

/* When it last went round, in milliseconds of CLOCK_MONOTONIC; any thread. */
int64_t worker_turned_ms(const struct worker *worker);

#endif
