/*
 * When to sync: a thread that goes a round at start, every interval (spread by
 * the jitter, up to ten times longer after failures), on a trigger, at once when
 * cancel is interrupted, and within seconds of a change of the registry's secret or of damage that
 * is found in the store (that not before 10 seconds have passed).
 */
#ifndef SPECMAN_POLLER_H
#define SPECMAN_POLLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "config.h"
#include "status.h"
#include "sync.h"

struct poller;

/*
 * All are borrowed for its life. Between rounds it also lets go of the store's
 * replaced views, and sweeps what they named.
 */
MUST_CHECK struct poller *poller_start(const struct config *config, struct sync *sync,
                                       struct store *store, struct status *status,
                                       const struct cancel *cancel, struct err *err);

/* Go a round as soon as the one under way, if any, is done. Any thread. */
void poller_trigger(struct poller *poller);

/* The same, with all that it is configured by read anew. Any thread. */
void poller_reload(struct poller *poller);

/*
 * The same for the sake of strangers: not before a second has passed since the
 * last round. Returns whether no such round was due yet. Any thread.
 */
bool poller_hint(struct poller *poller);

/*
 * The same as poller_trigger for somebody who waits: returns the number of a round that starts
 * after this call. Any thread.
 */
uint64_t poller_ask(struct poller *poller);

/* What the round with this number, or a later one, came to; false before its end. Any thread. */
bool poller_has_ended(struct poller *poller, uint64_t round, struct sync_outcome *out_outcome);

/* The same for a sweep of the store, which is done between two rounds and begins none. */
uint64_t poller_ask_sweep(struct poller *poller);
bool poller_has_swept(struct poller *poller, uint64_t number, struct sync_outcome *out_outcome);

/* An eventfd, readable after the end of a round or a sweep, for one thread to wait for and to read.
 */
int poller_ended_fd(const struct poller *poller);

/* Wait for the thread, which ends once cancel is raised, and free it. NULL is fine. */
void poller_join(struct poller *poller);

#endif
