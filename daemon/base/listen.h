/* Listening sockets from "ADDR:PORT", as flags give them. */
#ifndef SPECMAN_BASE_LISTEN_H
#define SPECMAN_BASE_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/err.h"

enum { LISTEN_TEXT_SIZE = 64 };

struct listen_address {
	struct sockaddr_storage address;
	socklen_t length;
};

/*
 * Parse "127.0.0.1:8443", "[::1]:8443", ":8443" (every address) or "[::]:0".
 * Names are not resolved. ERR_CONFIG says what is wrong.
 */
MUST_CHECK int listen_parse(const char *text, struct listen_address *out_address, struct err *err);

/*
 * Open a non-blocking, close-on-exec listening TCP socket. "[::]" takes IPv4
 * too; where the kernel has no IPv6, "[::]" falls back to 0.0.0.0. With
 * `shared`, SO_REUSEPORT lets several sockets share the port. Returns the
 * descriptor, the caller's to close; -1 with ERR_IO that names address and port.
 */
MUST_CHECK int listen_open(const struct listen_address *address, bool shared, struct err *err);

/* The address that fd is bound to. */
MUST_CHECK int listen_bound(int fd, struct listen_address *out_address, struct err *err);

/* "127.0.0.1:8443" or "[::1]:8443". Returns text. */
char *listen_format(const struct listen_address *address, char text[static LISTEN_TEXT_SIZE]);

#endif
