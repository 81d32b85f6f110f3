/* The daemon: everything started in order, and stopped in the reverse of it. */
#ifndef SPECMAN_SERVE_H
#define SPECMAN_SERVE_H

#include "base/err.h"
#include "config.h"

/*
 * Run until SIGTERM or SIGINT. SIGUSR1 polls at once; SIGHUP does as well, and
 * reads all files anew, also those that don't seem to have changed. Returns 0
 * after an ordered stop, -1 with err when it can't start.
 */
MUST_CHECK int serve(const struct config *config, struct err *err);

/* The folder of the self-made certificate, in the data directory; made when it is not there. */
MUST_CHECK int serve_state_dir(const struct config *config, char *path, size_t size,
                               struct err *err);

#endif
