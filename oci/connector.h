/*
 * The way to a place: which certificates are believed there. One connector
 * serves all handles of a transport; each handle is told before each request.
 */
#ifndef SPECMAN_OCI_CONNECTOR_H
#define SPECMAN_OCI_CONNECTOR_H

#include <stdbool.h>

#include <curl/curl.h>

#include "base/err.h"
#include "oci/url.h"

struct connector;
struct transport_settings;

/* ERR_CONFIG when the settings' CAs are not to be read, ERR_FORMAT for a broken registry_url. */
MUST_CHECK struct connector *connector_new(const struct transport_settings *settings,
                                           struct err *err);
void connector_free(struct connector *connector);

/* Whether CAs are trusted besides the system's. */
bool connector_has_trust(const struct connector *connector);

/* Set a handle's TLS options for a request to place. -1: libcurl can't take them. */
MUST_CHECK int connector_set(struct connector *connector, CURL *easy, const struct place *place);

#endif
