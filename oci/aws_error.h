/*
 * What a service of AWS says went wrong (JSON 1.1: "__type" and "message"; the
 * query protocol: XML with Code and Message), and what an operator is told.
 */
#ifndef SPECMAN_OCI_AWS_ERROR_H
#define SPECMAN_OCI_AWS_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { AWS_CODE_SIZE = 64, AWS_MESSAGE_SIZE = 240, AWS_RIGHT_SIZE = 80 };

/* Strings are "" when they are not there. */
struct aws_error {
	char code[AWS_CODE_SIZE];       /* "AccessDeniedException": no namespace before it */
	char message[AWS_MESSAGE_SIZE]; /* its first line: further ones may quote our headers */
};

void aws_error_read(const char *body, size_t size, struct aws_error *out_error);

/*
 * Whether a text says that a right of IAM is missing ("User: … is not authorized
 * to perform: ecr:BatchGetImage on resource: …"): then out_right has its name.
 */
bool aws_error_right(const char *text, char out_right[static AWS_RIGHT_SIZE]);

/* What was asked, for the sentence. */
struct aws_question {
	const char *who;    /* the host that answered */
	const char *action; /* "ecr:GetAuthorizationToken": also the name of the right */
	const char *source; /* of the keys: "the environment"; or NULL: unsigned */
	const char *role;   /* that was to be assumed, or NULL */
};

/*
 * Fill err with kind, cause (oci.h: OCI_CAUSE_AWS_…) and sentence. skew_s is
 * aws_time_skew() of the answer. Always -1.
 *
 *	refused keys, signatures, clocks, rights, roles    ERR_AUTH
 *	throttling, 5xx, 408, 429                          ERR_NETWORK
 *	any other                                          ERR_FORMAT
 */
int aws_error_fill(const struct aws_error *error, long status, const struct aws_question *question,
                   int64_t skew_s, struct err *err);

#endif
