/*
 * A registry as a source: the distribution API of one repository, asked over
 * HTTP with credentials. What remote.c, list.c and resolve.c share.
 */
#ifndef SPECMAN_OCI_REMOTE_H
#define SPECMAN_OCI_REMOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/digest.h"
#include "base/err.h"
#include "oci/auth.h"
#include "oci/exchange.h"
#include "oci/oci.h"
#include "oci/source.h"
#include "oci/transport.h"

/* Settings are borrowed during the call alone, cancel for good. */
MUST_CHECK int remote_open(const struct oci_settings *settings, const struct cancel *cancel,
                           struct source *out_source, struct err *err);

struct remote {
	struct oci_reference reference;
	struct transport *transport;
	struct auth *auth;
	char *base;            /* "https://host/v2/name" */
	bool refuses_n;        /* a list is asked for without saying how many tags */
	int64_t not_before_ms; /* of clock_now_ms(): a Retry-After; no question goes out earlier */
	int64_t list_ms;       /* LIMIT_LIST_MS */
};

/* Until when it, or the token server that it has sent us to, wants no question; self is a remote.
 */
int64_t remote_not_before_ms(const void *self);

/* ERR_NETWORK while the registry wants no question (RFC 9110, section 10.2.3). */
MUST_CHECK int remote_may_ask(const struct remote *remote, struct err *err);

/*
 * Take note of the Retry-After of an answer that may pass. Whether it asks for a
 * pause: a 429 does without one, too.
 */
bool remote_heed(struct remote *remote, const struct exchange *exchange);

/* Ask, and authenticate when that is asked for. 0: there is an answer, of whatever status. */
MUST_CHECK int remote_ask(struct remote *remote, struct exchange *exchange, struct err *err);

/*
 * Get a document that is held in memory, at most LIMIT_MANIFEST_BYTES: append its bytes to body.
 * *out_exchange, the caller's to release, is the answer, also when it is another than 200.
 */
MUST_CHECK int remote_get(struct remote *remote, const char *url, const char *accept,
                          struct exchange *out_exchange, struct buf *body, struct err *err);

/* Fill err from an answer that isn't the one asked for. Always -1. */
int remote_refuse(const struct remote *remote, const struct exchange *exchange, struct err *err);

/* "https://host/v2/<repository>/<kind>/<name>": a heap string, or NULL. */
MUST_CHECK char *remote_url(const struct remote *remote, const char *kind, const char *name,
                            struct err *err);

/*
 * ERR_DIGEST when an answer's Docker-Content-Digest contradicts the digest of its
 * bytes (distribution-spec, "Pulling manifests"). None, or one of another
 * algorithm, contradicts nothing.
 */
MUST_CHECK int remote_check_digest_header(const struct exchange *exchange,
                                          const struct digest *digest, struct err *err);

/* list.c: the URL of the page behind the one just read, or NULL with *out_failed set on a bad one.
 */
char *remote_next_page(const struct exchange *exchange, bool *out_failed, struct err *err);

/* The operations of list.c, resolve.c and referrers.c; self is a struct remote. */
MUST_CHECK int remote_tags(void *self, struct oci_tags *out_tags, struct err *err);
void remote_resolve(void *self, char *const *tags, size_t count, struct oci_resolved *out_resolved);
int remote_named(void *self, const char *tag, struct buf *body, struct err *err);
int remote_referrers(void *self, const struct digest *manifest, char **inout_next, struct buf *body,
                     struct err *err);

#endif
