/*
 * The places where AWS credentials can be, one function each, a file each. All
 * read the environment of the process that the settings give, none keeps
 * anything: what is remembered, and for how long, is aws_chain.h's matter.
 */
#ifndef SPECMAN_OCI_AWS_SOURCE_H
#define SPECMAN_OCI_AWS_SOURCE_H

#include "base/buf.h"
#include "base/err.h"
#include "oci/aws_keys.h"
#include "oci/aws_region.h"
#include "oci/oci.h"
#include "oci/transport.h"

/* What the sources are given. */
struct aws {
	struct oci_aws given; /* of the settings */
	char *(*environment)(const char *name);
	struct transport *transport;
	char sts_region[AWS_REGION_SIZE];
};

/* A variable's value; NULL when it is not set or empty. */
const char *aws_variable(const struct aws *aws, const char *name);

/*
 * Append the content of the file that a variable names, without the line ends
 * behind it. ERR_CONFIG when there is no such file, when it is empty, or has
 * what can't stand in a header.
 */
MUST_CHECK int aws_variable_file(const struct aws *aws, const char *name, struct buf *text,
                                 struct err *err);

/* ERR_CONFIG when a text from `name` has what can't stand in a header. */
MUST_CHECK int aws_check_word(const struct buf *text, const char *name, struct err *err);

enum aws_found {
	AWS_FOUND,  /* *out_keys is filled */
	AWS_ABSENT, /* nothing there; err says in a few words why */
	AWS_FAILED, /* it is configured, but does not work; err says why */
};

/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. */
MUST_CHECK enum aws_found aws_environment_find(const struct aws *aws, struct aws_keys *out_keys,
                                               struct err *err);

/*
 * EKS' roles for service accounts: the token in AWS_WEB_IDENTITY_TOKEN_FILE is
 * shown to STS for AWS_ROLE_ARN (AssumeRoleWithWebIdentity).
 */
MUST_CHECK enum aws_found aws_web_identity_find(const struct aws *aws, struct aws_keys *out_keys,
                                                struct err *err);

/*
 * The agent of EKS Pod Identity or of ECS: AWS_CONTAINER_CREDENTIALS_FULL_URI,
 * or …_RELATIVE_URI at 169.254.170.2, with AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE,
 * which is read each time, or …_TOKEN as it is in Authorization. Asked are https
 * anywhere, else this machine, 169.254.170.2, 169.254.170.23 and [fd00:ec2::23].
 */
MUST_CHECK enum aws_found aws_container_find(const struct aws *aws, struct aws_keys *out_keys,
                                             struct err *err);

/* ERR_CONFIG when an agent there may not be asked. */
MUST_CHECK int aws_container_check(const char *url, struct err *err);

/* AWS_SHARED_CREDENTIALS_FILE, else $HOME/.aws/credentials; AWS_PROFILE, else "default". */
MUST_CHECK enum aws_found aws_profile_find(const struct aws *aws, struct aws_keys *out_keys,
                                           struct err *err);

/*
 * Find a profile in such a file's text (see aws_profile.c for the grammar).
 * ERR_NOT_FOUND when it is not there or has no keys.
 */
MUST_CHECK int aws_profile_read(const char *text, size_t size, const char *profile,
                                struct aws_keys *out_keys, struct err *err);

/*
 * The role of the EC2 instance, by its metadata service, version 2 (IMDSv2).
 * AWS_EC2_METADATA_DISABLED, AWS_EC2_METADATA_SERVICE_ENDPOINT.
 */
MUST_CHECK enum aws_found aws_metadata_find(const struct aws *aws, struct aws_keys *out_keys,
                                            struct err *err);

/*
 * Not a source of its own: the keys of the role in aws->given, assumed with
 * other keys (STS AssumeRole).
 */
MUST_CHECK int aws_sts_assume(const struct aws *aws, const struct aws_keys *keys,
                              struct aws_keys *out_keys, struct err *err);

/* Read an answer of STS: Credentials in XML. ERR_FORMAT when they are not there. */
MUST_CHECK int aws_sts_read(const struct exchange *exchange, const char *source,
                            struct aws_keys *out_keys, struct err *err);

#endif
