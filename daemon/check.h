/*
 * `specman check`: tests configuration, secret, data directory, certificate,
 * clock, and the repository with its mirrors, one step after the other, and says
 * on standard output what is wrong with each and what to do. Changes nothing;
 * may run beside the daemon.
 */
#ifndef SPECMAN_CHECK_H
#define SPECMAN_CHECK_H

#include <stdbool.h>

#include "base/err.h"
#include "config.h"

/*
 * Returns 0 with *out_fine telling whether nothing failed (warnings are fine);
 * -1 when the checks can't be made at all. SIGINT and SIGTERM end it within a
 * second; what was not checked then is not fine.
 */
MUST_CHECK int check_run(const struct config *config, bool *out_fine, struct err *err);

#endif
