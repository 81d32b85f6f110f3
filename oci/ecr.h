/*
 * Amazon's ECR (API references of ECR and ECR Public, GetAuthorizationToken): a
 * registry whose password is asked for at an API of its own, signed with AWS
 * credentials, and lives twelve hours.
 *
 *	if (oci_uses_aws(&settings))
 *		ecr = ecr_new(&settings, transport, &err);
 *	ecr_login(ecr, &login, &err);
 *	… "Authorization: Basic <login.token>" …
 *	ecr_login_release(&login);
 */
#ifndef SPECMAN_OCI_ECR_H
#define SPECMAN_OCI_ECR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/exchange.h"
#include "oci/oci.h"
#include "oci/transport.h"

struct ecr;

/*
 * The transport is borrowed for good, the settings during the call alone.
 * ERR_CONFIG with OCI_CAUSE_AWS_REGION when neither the host's name nor settings
 * nor environment say a region; ERR_CONFIG for an endpoint that can't be asked.
 */
MUST_CHECK struct ecr *ecr_new(const struct oci_settings *settings, struct transport *transport,
                               struct err *err);
void ecr_free(struct ecr *ecr);

/*
 * Public ECR: the registry answers with a Bearer challenge, and the token is
 * for the token server that it names; or nobody's, where there are no credentials.
 */
bool ecr_is_public(const struct ecr *ecr);

/* What the API gave. */
struct ecr_login {
	char *token; /* base64 of "AWS:password"; NULL: nobody's */
	int64_t life_s;
	int64_t renew_s; /* from now on */
};

void ecr_login_release(struct ecr_login *login);

/* Ask for a token. Public ECR, asked with no credentials anywhere, is nobody's. Errors: those of
 * aws_chain.h and aws_call.h. */
MUST_CHECK int ecr_login(struct ecr *ecr, struct ecr_login *out_login, struct err *err);

/*
 * Read the API's answer: authorizationData with authorizationToken and
 * expiresAt, alone (public) or the first of a list. ERR_FORMAT when it is not
 * there, or can't stand in a header.
 */
MUST_CHECK int ecr_login_read(const struct exchange *exchange, struct ecr_login *out_login,
                              struct err *err);

#endif
