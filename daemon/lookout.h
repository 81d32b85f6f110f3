/*
 * A thread that looks at something about once a second, and at once when it is
 * told to: for files that change beside the daemon, and may lie on a file system
 * that hangs.
 */
#ifndef SPECMAN_LOOKOUT_H
#define SPECMAN_LOOKOUT_H

#include <stdbool.h>

#include "base/err.h"

struct lookout;

/*
 * Start it; the first look comes at once. ctx is borrowed for its life; what, as in
 * "the certificate", is for the error (ERR_IO).
 */
MUST_CHECK struct lookout *lookout_start(void (*look)(void *ctx, bool at_once), void *ctx,
                                         const char *what, struct err *err);

/* Look now, whether anything seems to have changed or not. Any thread. */
void lookout_trigger(struct lookout *lookout);

/* Wait for the look under way, and free it. NULL is fine. */
void lookout_stop(struct lookout *lookout);

#endif
