/* The certificate that is shown to the registry's host, and its key. */
#ifndef SPECMAN_OCI_CLIENT_CERT_H
#define SPECMAN_OCI_CLIENT_CERT_H

#include <curl/curl.h>

#include "base/err.h"

struct client_cert;

/*
 * Copy PEM texts: a certificate with its intermediates behind it, and its key.
 * ERR_CONFIG says which is missing or broken, that the key is encrypted (nobody is
 * there to type a passphrase), or that the two don't belong together.
 */
MUST_CHECK struct client_cert *client_cert_new(const char *cert_pem, const char *key_pem,
                                               struct err *err);

/* The copies are wiped. No handle that was told of them may be in use. */
void client_cert_free(struct client_cert *cert);

/* Show it to the host of the handle's URL; never to a proxy. */
MUST_CHECK CURLcode client_cert_set(const struct client_cert *cert, CURL *easy);

#endif
