/*
 * One round of syncing: list the tags, compare the digests of those that the
 * policy takes, download, verify and publish what changed, and then let go of
 * what the policy keeps no longer. The only writer of the store.
 */
#ifndef SPECMAN_SYNC_H
#define SPECMAN_SYNC_H

#include "base/cancel.h"
#include "base/err.h"
#include "config.h"
#include "storage/storage.h"
#include "signers.h"

struct sync;

struct status;
struct fetch_observer;

/* All are borrowed for its life. A cancel that is only interrupted ends a round, and no more. */
MUST_CHECK struct sync *sync_new(const struct config *config, struct store *store,
                                 struct status *status, struct signers *signers,
                                 struct cancel *cancel, struct err *err);
void sync_free(struct sync *sync);

/* The next round reads flags' files and the secret anew, whether they seem to have changed or not.
 * The thread of sync_round only. */
void sync_reload(struct sync *sync);

/* From now on this one is told of downloads, on the thread of sync_round; borrowed. */
void sync_observe(struct sync *sync, const struct fetch_observer *observer);

enum sync_result {
	SYNC_DONE,    /* the store has what the registry has */
	SYNC_WAITING, /* nobody has said yet which registry to ask */
	SYNC_FAILED,  /* something is to be tried again; it was logged */
	SYNC_CANCELLED,
};

/* Go one round. Logs what happens, repeated troubles at growing intervals. */
enum sync_result sync_round(struct sync *sync);

/* What a round comes to for somebody who waits for it. */
enum sync_verdict {
	SYNC_VERDICT_DONE,
	SYNC_VERDICT_NOTHING, /* no registry is named yet, or there is nothing to serve yet */
	SYNC_VERDICT_FAILED,  /* anything failed, also what is of no use to try again soon */
	SYNC_VERDICT_STOPPED,
};

enum { SYNC_REASON_SIZE = 720 };

struct sync_outcome {
	enum sync_verdict verdict;
	char reason[SYNC_REASON_SIZE]; /* the first trouble, in one line; "" after DONE of a round
	                                */
};

/* Sweep the store now, apart from any round. Of DONE the reason says how much it was. */
void sync_sweep(struct sync *sync, struct sync_outcome *out_outcome);

/* How often an object was found damaged so far: what a round has to heal. Any thread. */
uint64_t sync_damages(const struct sync *sync);

/* Of the last round. The thread of sync_round only. */
const struct sync_outcome *sync_outcome(const struct sync *sync);

#endif
