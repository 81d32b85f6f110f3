/*
 * The way to a place: through which proxy, which certificates are believed
 * there, which one is shown. One connector serves all handles of a transport;
 * each handle is told before each request, because a redirect or a token server
 * may be another place.
 *
 * Kept true: libcurl never looks for proxies itself; the client certificate goes
 * to the registry's host alone, and so does `insecure`, whatever the port; a
 * proxy's own TLS is always verified; of what is meant for the registry, a proxy
 * sees nothing before it has made a tunnel. That is so for https: a request of
 * plain http is the proxy's to read, Authorization included.
 */
#ifndef SPECMAN_OCI_CONNECTOR_H
#define SPECMAN_OCI_CONNECTOR_H

#include <stdbool.h>

#include <curl/curl.h>

#include "base/err.h"
#include "oci/peer.h"
#include "oci/proxy.h"
#include "oci/url.h"

struct connector;
struct transport_settings;

/*
 * ERR_CONFIG when the settings' CAs, client certificate or proxies are not to be
 * used, ERR_FORMAT for a broken registry_url.
 */
MUST_CHECK struct connector *connector_new(const struct transport_settings *settings,
                                           struct err *err);
void connector_free(struct connector *connector);

/* Whether CAs are trusted besides the system's. */
bool connector_has_trust(const struct connector *connector);

/* The way that one request goes. It has to outlive the multi handle. */
struct connection {
	const struct connector *connector;
	const struct proxy *proxy; /* or NULL */
	struct peer peer;          /* of the handshakes made for it */
};

/* Tell a handle the way to place (`direct`: never by a proxy), and write it down. -1: libcurl can't
 * take it. */
MUST_CHECK int connector_set(const struct connector *connector, CURL *easy,
                             const struct place *place, bool direct, struct connection *connection);

#endif
