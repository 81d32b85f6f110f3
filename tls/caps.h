/* How many connections there may be, in all and from one address. Thread-safe. */
#ifndef SPECMAN_TLS_CAPS_H
#define SPECMAN_TLS_CAPS_H

#include <sys/socket.h>

#include "base/err.h"
#include "tls.h"

struct caps;

MUST_CHECK struct caps *caps_new(unsigned max_all, unsigned max_per_address, struct err *err);
void caps_free(struct caps *caps);

/*
 * Count a connection in. TLS_CAPS when it may be had, else the cap that it meets. An IPv6 /64
 * counts as one address, an IPv4-mapped one as IPv4.
 */
enum tls_cap caps_enter(struct caps *caps, const struct sockaddr_storage *peer);

/* Count one out that entered. */
void caps_leave(struct caps *caps, const struct sockaddr_storage *peer);

#endif
