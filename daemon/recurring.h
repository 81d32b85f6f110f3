/*
 * What goes wrong again and again: told at first, then at growing intervals
 * (one minute, doubled up to an hour), and once when it is over. Thread-safe.
 */
#ifndef SPECMAN_RECURRING_H
#define SPECMAN_RECURRING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { RECURRING_TEXT_SIZE = 200 }; /* what is kept of a subject and of a reason */

struct recurring;

MUST_CHECK struct recurring *recurring_new(struct err *err);
void recurring_free(struct recurring *recurring);

/*
 * Whether this trouble is to be told now. Another reason for the same subject is
 * news; other milliseconds or bytes in it are not ("Failed to connect … after 12 ms").
 */
bool recurring_happened(struct recurring *recurring, const char *subject, const char *reason,
                        int64_t now_ms);

/* Whether trouble with the subject that goes on as it was is to be told now; one that is not known
 * is not. */
bool recurring_stays(struct recurring *recurring, const char *subject, int64_t now_ms);

/* What troubles of this kind depend on has changed: the next time tells whether it helped. A kind
 * is how subjects begin. */
void recurring_renew(struct recurring *recurring, const char *kind);

/* Forget one of a kind that did not happen any more since then, and say which; false: there is
 * none. */
bool recurring_sweep(struct recurring *recurring, const char *kind, int64_t since_ms,
                     char out_subject[static RECURRING_TEXT_SIZE]);

/* Whether there was trouble with the subject until now; forgets it. */
bool recurring_over(struct recurring *recurring, const char *subject);

#endif
