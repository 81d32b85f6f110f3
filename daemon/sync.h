/*
 * One round of syncing: list the tags, compare digests, download, verify and
 * publish what changed. The only writer of the store.
 */
#ifndef SPECMAN_SYNC_H
#define SPECMAN_SYNC_H

#include "base/cancel.h"
#include "base/err.h"
#include "config.h"
#include "storage/storage.h"

struct sync;

/* config, store and cancel are borrowed for its life. */
MUST_CHECK struct sync *sync_new(const struct config *config, struct store *store,
                                 const struct cancel *cancel, struct err *err);
void sync_free(struct sync *sync);

enum sync_result {
	SYNC_DONE,    /* the store has what the registry has */
	SYNC_WAITING, /* nobody has said yet which registry to ask */
	SYNC_FAILED,  /* something is to be tried again; it was logged */
	SYNC_CANCELLED,
};

/* Go one round. Logs what happens, repeated troubles at growing intervals. */
enum sync_result sync_round(struct sync *sync);

#endif
