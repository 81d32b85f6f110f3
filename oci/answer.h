/* What an answer means that isn't the one asked for. */
#ifndef SPECMAN_OCI_ANSWER_H
#define SPECMAN_OCI_ANSWER_H

#include <stdbool.h>

#include "base/err.h"
#include "oci/exchange.h"

/* Whether another try may bring another answer: 408, 425, 429, 5xx. */
bool answer_may_pass(long status);

/* Who asked: what to check when that is not enough, and the cause of a 401. */
struct answer_hint {
	const char *text; /* "check username and password" */
	enum oci_cause cause;
};

/*
 * Fill err from an answer's status and body: "401 from <who>: UNAUTHORIZED:
 * authentication required; <hint>". The hint is given with 401 and 403 alone;
 * who is replaced by the host that a redirect led to. The cause is set where it is
 * known. Always -1.
 *
 *	401, 403, 412 (Harbor's policies)   ERR_AUTH
 *	407 (a proxy's, to plain http)      ERR_AUTH
 *	404                                 ERR_NOT_FOUND
 *	408, 425, 429, 5xx                  ERR_NETWORK: worth another try
 *	any other                           ERR_FORMAT
 *
 * 404 of a storage that a redirect led to is ERR_LOST: the registry knows what
 * was asked for, or it would not have sent anybody there.
 * 401 and 403 of a storage that a redirect led to are ERR_NETWORK: its URL was
 * signed by the registry, which signs another the next time. A missing right is
 * OCI_CAUSE_AWS_RIGHT_MISSING, with its name in the sentence.
 */
int answer_refuse(const struct exchange *exchange, const char *who, struct answer_hint hint,
                  struct err *err);

#endif
