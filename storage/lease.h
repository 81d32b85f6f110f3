/*
 * Leases: views that were replaced can still be had by their names for a while,
 * so that a client which began with one can end with it. What they name is not
 * swept meanwhile, as with every view that is held. They are in memory alone.
 *
 * They are bounded in number and in memory, the oldest goes first. The one that
 * was replaced last may be as large as it is: it was in memory with its
 * successor anyway, and goes, if need be, before another view is built. So there
 * is never more in memory at once than without leases and LEASE_BYTES.
 */
#ifndef SPECMAN_STORAGE_LEASE_H
#define SPECMAN_STORAGE_LEASE_H

#include "store.h"

enum { LEASE_BYTES = 32 * 1024 * 1024 };

/* Make room before a view is built. The writer's. */
void leases_trim(struct store *store);

/*
 * Swap the current view for another, which is taken over, and put the old one on
 * lease; or let go of it where there are no leases, it has no release, or the new
 * one has its name. The writer's.
 */
void leases_swap_take(struct store *store, struct store_view *view);

/* End them all: room on disk counts more. Whether there was any. The writer's. */
bool leases_end(struct store *store);

/* Put them all, before the store is closed. */
void leases_clear(struct store *store);

#endif
