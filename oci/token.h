/*
 * What is said to a token server and what it answers (distribution, "Token
 * Authentication Specification" and "OAuth2 Token Authentication").
 */
#ifndef SPECMAN_OCI_TOKEN_H
#define SPECMAN_OCI_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/challenge.h"
#include "oci/url.h"

/*
 * Whether a realm may be asked, and be told credentials: https, or http where
 * the registry itself has no TLS; not on the machine itself or in its private
 * surroundings unless that is the registry's own host. ERR_FORMAT says why not.
 */
MUST_CHECK int token_check_realm(const char *realm, const struct place *registry, struct err *err);

/* The realm with service and each scope appended to its query: a heap string, or NULL. */
MUST_CHECK char *token_url(const struct challenge *challenge, struct err *err);

/* The form of a POST that turns a refresh token into a token: a heap string, or NULL. */
MUST_CHECK char *token_form(const struct challenge *challenge, const char *refresh_token,
                            struct err *err);

/*
 * Read an answer: `token` or `access_token`, and `expires_in` in seconds from
 * now on, 60 when it isn't there. The token is a heap string. ERR_AUTH when
 * there is none, ERR_FORMAT for one that can't stand in a header.
 */
MUST_CHECK int token_read(const char *body, size_t size, char **out_token, int64_t *out_seconds,
                          struct err *err);

#endif
