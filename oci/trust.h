/* Certificates to trust besides the system's. */
#ifndef SPECMAN_OCI_TRUST_H
#define SPECMAN_OCI_TRUST_H

#include <openssl/ssl.h>

#include "base/err.h"

struct trust;

/* Read PEM text with one certificate or more. ERR_CONFIG when there is none or a broken one. */
MUST_CHECK struct trust *trust_new(const char *pem, struct err *err);
void trust_free(struct trust *trust);

/* Add them to what a context trusts. 0, or -1 without memory. */
MUST_CHECK int trust_add(const struct trust *trust, SSL_CTX *context);

#endif
