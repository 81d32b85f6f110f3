/* Opening the store as it is configured; what it tells is logged. */
#ifndef SPECMAN_STORING_H
#define SPECMAN_STORING_H

#include "base/err.h"
#include "config.h"
#include "recurring.h"
#include "storage/storage.h"

/* troubles, by which repeated lines are thinned, is borrowed for the store's life. */
MUST_CHECK struct store *storing_open(const struct config *config, struct recurring *troubles,
                                      struct err *err);

#endif
