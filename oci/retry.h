/* When to ask again: back-off with full jitter, and Retry-After. */
#ifndef SPECMAN_OCI_RETRY_H
#define SPECMAN_OCI_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"

/*
 * Whether what failed may succeed when it is asked again. Not what the network is
 * said to have failed at, but an operator has to mend.
 */
bool retry_may_help(const struct err *err);

/*
 * The milliseconds of a Retry-After (RFC 9110, section 10.2.3), either form;
 * date is the answer's own Date or NULL: two clocks need not agree. At most
 * LIMIT_RETRY_AFTER_S; 0 for one that says nothing.
 */
int64_t retry_after_ms(const char *value, const char *date);

/*
 * How long to pause before the attempt with this number (0, 1, …): anything up
 * to RETRY_BASE_MS doubled that often, so that many clients don't come back
 * together; but at least `least_ms`.
 */
int64_t retry_pause_ms(unsigned attempt, int64_t least_ms);

/* Wait. ERR_CANCELLED as soon as cancel is raised. */
MUST_CHECK int retry_wait(const struct cancel *cancel, int64_t pause_ms, struct err *err);

#endif
