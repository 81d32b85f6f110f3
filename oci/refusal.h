/* What a registry has against a push. */
#ifndef SPECMAN_OCI_REFUSAL_H
#define SPECMAN_OCI_REFUSAL_H

#include "base/err.h"
#include "oci/exchange.h"
#include "oci/remote.h"

/*
 * Give what answer_refuse has made of an answer to a request that writes its
 * cause there, from its status and from the words that registries have for it:
 *
 *	OCI_CAUSE_PUSH_FULL           507; a quota (Harbor says 403, 412 or 413, or 500
 *	                              before 2.0); ENOSPC of distribution's storage (500)
 *	OCI_CAUSE_PUSH_IMMUTABLE      the tag is (Harbor 412, ECR 400, others)
 *	OCI_CAUSE_PUSH_TOO_LARGE      413 without such words: a proxy's limit
 *	OCI_CAUSE_PUSH_NO_RIGHT       403, and a token that is good for reading only
 *	OCI_CAUSE_PUSH_NO_REPOSITORY  404
 *
 * The first two are not worth another try, whatever the status: ERR_NO_SPACE and
 * ERR_AUTH. Always -1.
 */
int refusal_explain(const struct exchange *exchange, struct err *err);

/* Fill err from the answer of a registry that writes nothing down. Always -1. */
int refusal_of_push(const struct remote *remote, const struct exchange *exchange, struct err *err);

#endif
