/* What the files of the client share. The public part is oci.h. */
#ifndef SPECMAN_OCI_CLIENT_H
#define SPECMAN_OCI_CLIENT_H

#include "base/digest.h"
#include "base/err.h"
#include "oci/auth.h"
#include "oci/exchange.h"
#include "oci/oci.h"
#include "oci/transport.h"

struct oci_client {
	struct oci_reference reference;
	struct transport *transport;
	struct auth *auth;
	char *base; /* "https://host/v2/name" */
};

/* Fill err from an answer that isn't the one asked for. Always -1. */
int client_refuse(const struct oci_client *client, const struct exchange *exchange,
                  struct err *err);

/* "https://host/v2/<repository>/<kind>/<name>": a heap string, or NULL. */
MUST_CHECK char *client_url(const struct oci_client *client, const char *kind, const char *name,
                            struct err *err);

/*
 * ERR_DIGEST when an answer's Docker-Content-Digest contradicts the digest of its
 * bytes (distribution-spec, "Pulling manifests"). None, or one of another
 * algorithm, contradicts nothing.
 */
MUST_CHECK int client_check_digest_header(const struct exchange *exchange,
                                          const struct digest *digest, struct err *err);

#endif
