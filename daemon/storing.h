/* Opening the store as it is configured; what it tells is logged. */
#ifndef SPECMAN_STORING_H
#define SPECMAN_STORING_H

#include "base/err.h"
#include "config.h"
#include "recurring.h"
#include "storage/storage.h"

/* What an archive may cost, by the configuration. */
struct store_limits storing_limits(const struct config *config);

/* troubles, by which repeated lines are thinned, is borrowed for the store's life. */
MUST_CHECK struct store *storing_open(const struct config *config, struct recurring *troubles,
                                      struct err *err);

/* Sweep it; the text says how much that was, in a line without its end. Errors of store_collect. */
MUST_CHECK int storing_sweep(struct store *store, char *out_text, size_t size, struct err *err);

/* Let go of the replaced views whose time is over, and sweep what went with them. */
void storing_expire(struct store *store);

#endif
