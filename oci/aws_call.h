/*
 * Questions to services of AWS: where they are, signed or not, and never by way
 * of a redirect.
 */
#ifndef SPECMAN_OCI_AWS_CALL_H
#define SPECMAN_OCI_AWS_CALL_H

#include <stdbool.h>

#include "base/err.h"
#include "oci/aws_keys.h"
#include "oci/exchange.h"
#include "oci/transport.h"

/* A POST. Strings are borrowed during aws_call. */
struct aws_call {
	const char *url;
	const char *region, *service; /* that the signature is for */
	const char *action;           /* the right that it takes: "ecr:GetAuthorizationToken" */
	const char *role;             /* that is to be assumed, or NULL */
	const struct aws_keys *keys;  /* NULL: unsigned */
	const char *target;           /* X-Amz-Target, or NULL */
	const char *content_type;
	const char *body;
	const char *secret; /* in body, or NULL */
};

/*
 * Ask. 0: the answer is a 200 and in exchange, which the caller releases with
 * aws_exchange_release. Errors: aws_error_fill's, and the transport's.
 */
MUST_CHECK int aws_call(struct transport *transport, const struct aws_call *call,
                        struct exchange *exchange, struct err *err);

/*
 * The address of a service: the environment's `variable` or AWS_ENDPOINT_URL,
 * else https://<host>/. A heap string. ERR_CONFIG for an override that is no
 * address, or is http and not this machine.
 */
MUST_CHECK char *aws_call_url(char *(*environment)(const char *name), const char *variable,
                              const char *host, struct err *err);

/* Whether the host is an address of this machine, or the name localhost. */
bool aws_is_loopback(const struct place *place);

#endif
