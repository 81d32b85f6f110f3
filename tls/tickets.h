/*
 * Keys of session tickets (RFC 5077, RFC 8446 section 4.6.1), the same for all
 * workers and all certificates of a server, so that a client may resume with
 * any worker and over a change of the certificate. In memory only: a restart
 * makes clients shake hands anew. Thread-safe.
 */
#ifndef SPECMAN_TLS_TICKETS_H
#define SPECMAN_TLS_TICKETS_H

#include <stdint.h>

#include <openssl/ssl.h>

#include "base/err.h"

/* How long a ticket is good, and how long its key makes new ones. */
enum { TICKET_SECONDS = 2 * 60 * 60 };

struct tickets;

MUST_CHECK struct tickets *tickets_new(int64_t now_ms, struct err *err);

/* Wipes the keys. No context that uses them may be left. NULL is fine. */
void tickets_free(struct tickets *tickets);

/* Make tickets of this context with these keys. */
MUST_CHECK int tickets_use(struct tickets *tickets, SSL_CTX *context, struct err *err);

/*
 * To be called now and then: when TICKET_SECONDS have passed, a new key makes
 * the tickets, the last one is still good for reading, and the one before is
 * wiped. Without randomness (ERR_IO) the keys stay.
 */
MUST_CHECK int tickets_rotate(struct tickets *tickets, int64_t now_ms, struct err *err);

#endif
