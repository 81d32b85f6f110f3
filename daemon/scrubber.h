/*
 * Checks the store in the background: a thread of low priority that spreads a
 * pass over --scrub-interval, and makes lists of hashes that requests miss.
 */
#ifndef SPECMAN_SCRUBBER_H
#define SPECMAN_SCRUBBER_H

#include "base/cancel.h"
#include "base/err.h"
#include "config.h"
#include "recurring.h"
#include "status.h"
#include "storage/storage.h"

struct scrubber;

/* All are borrowed for its life. */
MUST_CHECK struct scrubber *scrubber_start(const struct config *config, struct store *store,
                                           struct recurring *troubles, struct status *status,
                                           const struct cancel *cancel, struct err *err);

/* Wait for the thread, which ends within a second once cancel is raised, and free it. NULL is fine.
 */
void scrubber_join(struct scrubber *scrubber);

#endif
