/*
 * What goes wrong again and again: told at first, then at growing intervals
 * (one minute, doubled up to an hour), and once when it is over. Thread-safe.
 */
#ifndef SPECMAN_RECURRING_H
#define SPECMAN_RECURRING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct recurring;

MUST_CHECK struct recurring *recurring_new(struct err *err);
void recurring_free(struct recurring *recurring);

/*
 * Whether this trouble is to be told now. Another reason for the same subject is
 * news; other milliseconds or bytes in it are not ("Failed to connect … after 12 ms").
 */
bool recurring_happened(struct recurring *recurring, const char *subject, const char *reason,
                        int64_t now_ms);

/* Whether there was trouble with the subject until now; forgets it. */
bool recurring_over(struct recurring *recurring, const char *subject);

#endif
