/* Server contexts: certificate, key, client CA and the rules for TLS. */
#ifndef SPECMAN_TLS_CONTEXT_H
#define SPECMAN_TLS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "base/err.h"

struct tickets;

/* Borrowed during context_new, but for the tickets. */
struct context_settings {
	const char *cert_file;      /* PEM chain */
	const char *key_file;       /* PEM, unencrypted */
	const char *client_ca_file; /* PEM; NULL: no client certificates are asked for */
	bool must_authenticate;     /* a client without certificate is turned away */
	struct tickets *tickets;    /* NULL: keys that OpenSSL makes */
};

/*
 * A context: TLS 1.2 and 1.3, ECDHE with AEAD, ALPN http/1.1, no renegotiation,
 * no compression; in FIPS mode (base/fips.h) with what is approved alone. To be freed with
 * SSL_CTX_free. ERR_CONFIG names the file and what is wrong with it.
 *
 * Client certificates are checked to the client CA, for the purpose of client
 * authentication. A session made under another client CA (other bytes, or asked
 * for where it was required) is not resumed: a full handshake follows.
 */
MUST_CHECK SSL_CTX *context_new(const struct context_settings *settings, struct err *err);

/* The time that its certificate is good for, in seconds since 1970. -1 when it can't be read. */
MUST_CHECK int context_times(SSL_CTX *context, int64_t *out_not_before, int64_t *out_not_after);

enum { REASON_SIZE = 256 };

/* The oldest error of OpenSSL's queue as text, and the queue emptied. Returns text. */
const char *openssl_reason(char text[static REASON_SIZE]);

#endif
