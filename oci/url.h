/*
 * URLs as libcurl reads them, so that what is checked is what is asked: the
 * place (scheme, host, port) that decides who may see credentials, and the
 * resolution of references (RFC 3986, section 5).
 */
#ifndef SPECMAN_OCI_URL_H
#define SPECMAN_OCI_URL_H

#include <stdbool.h>

#include "base/err.h"

enum { URL_HOST_SIZE = 256, URL_PLACE_SIZE = URL_HOST_SIZE + 8 };

/* What an HTTP client connects to. Normal: lower case, IP addresses in their usual form. */
struct place {
	bool secure;              /* https */
	char host[URL_HOST_SIZE]; /* "harbor.example.com", "10.0.0.1", "[::1]" */
	unsigned port;
};

/*
 * The place of an absolute http or https URL. ERR_FORMAT for anything else: user
 * and password in it, a zone, a host outside ASCII, a URL over LIMIT_URL_BYTES.
 */
MUST_CHECK int url_place(const char *url, struct place *out_place, struct err *err);

bool place_equal(const struct place *a, const struct place *b);

/* "host" or, where the port isn't the scheme's own, "host:port". Returns text. */
char *place_format(const struct place *place, char text[static URL_PLACE_SIZE]);

/*
 * Whether the host is an IP address, or a name for one, that leads into the
 * machine or its private surroundings: loopback, link-local, private, unique
 * local, shared, unspecified, multicast, and IPv6 forms of these IPv4 ones.
 */
bool place_is_internal(const struct place *place);

/* A reference resolved against an absolute base: an absolute heap string, or NULL. */
MUST_CHECK char *url_resolve(const char *base, const char *reference, struct err *err);

/* The same place and the path and query of url: a heap string, or NULL. */
MUST_CHECK char *url_move(const char *url, const char *base, struct err *err);

/* url with name=value appended to its query and without a fragment: a heap string, or NULL. */
MUST_CHECK char *url_append(const char *url, const char *name, const char *value, struct err *err);

#endif
