/*
 * What the server shows and asks for (certificate, key, client CA), and how it
 * changes at run time. Each state of the files becomes one immutable context; a
 * connection keeps the one that it began with.
 */
#ifndef SPECMAN_TLS_CREDENTIALS_H
#define SPECMAN_TLS_CREDENTIALS_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "base/err.h"
#include "tls.h"

struct credentials;

/* Load them, or make them. The settings' file names are copied. Errors as tls_server_start. */
MUST_CHECK struct credentials *credentials_new(const struct tls_settings *settings,
                                               struct err *err);

/* NULL is fine. */
void credentials_free(struct credentials *credentials);

/* A reference to the newest context, to be given back with SSL_CTX_free. Any thread. */
SSL_CTX *credentials_get(struct credentials *credentials);

/* See tls_server_refresh; one thread at a time. */
MUST_CHECK int credentials_refresh(struct credentials *credentials, bool at_once, struct err *err);

/* See tls_server_not_after. Any thread. */
int64_t credentials_not_after(struct credentials *credentials);

#endif
