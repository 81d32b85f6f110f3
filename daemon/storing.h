/* Opening the store as it is configured; what it tells is logged. */
#ifndef SPECMAN_STORING_H
#define SPECMAN_STORING_H

#include "base/err.h"
#include "config.h"
#include "recurring.h"
#include "status.h"
#include "storage/storage.h"
#include "signers.h"

/* What an archive may cost, by the configuration. */
struct store_limits storing_limits(const struct config *config);

/* Whom the store's events are told; borrowed for the store's life, and so is what it names. */
struct storing_observer {
	struct recurring *troubles; /* by which repeated lines are thinned */
	struct status *status;      /* or NULL */
};

/* signers are borrowed for the store's life; without them whatever is there is served. */
MUST_CHECK struct store *storing_open(const struct config *config,
                                      struct storing_observer *observer, struct signers *signers,
                                      struct err *err);

/* What damage of files is about in the status; it is over when the store has none. */
extern const char storing_damage[];

/* Sweep it; the text says how much that was, in a line without its end. Errors of store_collect. */
MUST_CHECK int storing_sweep(struct store *store, char *out_text, size_t size, struct err *err);

/* Have a look at the disk, for the status: whoever reads that must not wait for it. */
void storing_look(struct store *store, const struct config *config, struct status *status);

/* Let go of the replaced views whose time is over, and sweep what went with them. */
void storing_expire(struct store *store);

#endif
