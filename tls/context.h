/* Server contexts: certificate, key and the rules for TLS. */
#ifndef SPECMAN_TLS_CONTEXT_H
#define SPECMAN_TLS_CONTEXT_H

#include <stddef.h>

#include <openssl/ssl.h>

#include "base/err.h"

/*
 * A context from a PEM chain and its unencrypted PEM key: TLS 1.2 and 1.3,
 * ECDHE with AEAD, ALPN http/1.1, no renegotiation, no compression. To be freed
 * with SSL_CTX_free. ERR_CONFIG names the file and what is wrong with it.
 */
MUST_CHECK SSL_CTX *context_new(const char *cert_file, const char *key_file, struct err *err);

enum { REASON_SIZE = 256 };

/* The oldest error of OpenSSL's queue as text, and the queue emptied. Returns text. */
const char *openssl_reason(char text[static REASON_SIZE]);

#endif
