/*
 * AWS credentials as the settings want them: the given keys, those of the first
 * source that has some, a role assumed with either, or those of the agent that
 * EKS runs. Temporary ones are kept until they are to be renewed.
 */
#ifndef SPECMAN_OCI_AWS_CHAIN_H
#define SPECMAN_OCI_AWS_CHAIN_H

#include <stdbool.h>

#include "base/err.h"
#include "oci/aws_keys.h"
#include "oci/oci.h"
#include "oci/transport.h"

struct aws_chain;

/*
 * The transport is borrowed for good, the settings during the call alone.
 * `region` is where STS is asked unless settings or environment say another.
 * ERR_CONFIG for a region that is none.
 */
MUST_CHECK struct aws_chain *aws_chain_new(const struct oci_settings *settings,
                                           struct transport *transport, const char *region,
                                           struct err *err);
void aws_chain_free(struct aws_chain *chain);

/*
 * Keys to sign with: the chain's, until its next call. *out_kept: they were used
 * before, so that others may do where these are refused. With kind OCI_AWS_CHAIN
 * and nothing anywhere ERR_AUTH with OCI_CAUSE_AWS_NO_CREDENTIALS, and why each
 * source had none. Kept keys that can't be renewed go on until their end.
 */
MUST_CHECK int aws_chain_keys(struct aws_chain *chain, const struct aws_keys **out_keys,
                              bool *out_kept, struct err *err);

/* The kept keys were refused: look for others the next time. */
void aws_chain_forget(struct aws_chain *chain);

#endif
