/*
 * HTTP over libcurl's multi interface: exchanges side by side, connections
 * kept, HTTP/2 where it is offered, every time and size bounded (limits.h).
 *
 * Kept true: Authorization goes to the place (scheme, host, port) that the
 * exchange names and, once a redirect has led elsewhere, nowhere any more;
 * https never becomes http; an error's text names hosts, never a URL's query, and
 * says its cause (enum oci_cause). Proxies and TLS: connector.h.
 *
 * One thread at a time. Nothing of an exchange is touched after its done().
 */
#ifndef SPECMAN_OCI_TRANSPORT_H
#define SPECMAN_OCI_TRANSPORT_H

#include <stdbool.h>

#include "base/cancel.h"
#include "base/err.h"
#include "oci/exchange.h"
#include "oci/oci.h"

struct transport;

/*
 * plain_http allows URLs of http; insecure and the client certificate go for the
 * host of the registry alone. Borrowed during transport_new.
 */
struct transport_settings {
	const char *registry_url; /* "https://host:port" */
	bool plain_http;
	bool insecure;
	const char *ca_pem;   /* or NULL */
	const char *cert_pem; /* and key_pem: a client certificate, or NULL */
	const char *key_pem;
	char *(*environment)(const char *name); /* as getenv(3), for proxies; or NULL */
	long idle_s; /* with hardly a byte, then a request has failed; 0: LIMIT_IDLE_S */
	const char *user_agent;
	struct oci_counters *counters; /* or NULL */
};

MUST_CHECK struct transport *transport_new(const struct transport_settings *settings,
                                           const struct cancel *cancel, struct err *err);
void transport_free(struct transport *transport);

/*
 * Exchanges to run. next gives one, or NULL when there is none for now: it is
 * asked again after each done. done gets each one back, answered or failed.
 * Neither may call the transport.
 */
struct transport_work {
	struct exchange *(*next)(void *ctx);
	void (*done)(void *ctx, struct exchange *exchange);
	void *ctx;
};

/*
 * Run all of the work. When cancel is raised, what is under way and what next
 * still gives fails at once with ERR_CANCELLED.
 */
void transport_run(struct transport *transport, const struct transport_work *work);

/* Run one. */
void transport_ask(struct transport *transport, struct exchange *exchange);

#endif
