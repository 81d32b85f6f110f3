/*
 * The HTTP contract of port 8443 (RFC 9110, 9111, 9112), over libmicrohttpd:
 * answers GET and HEAD from the current view of a store, and nothing else. It
 * is the backend of tls: one libmicrohttpd daemon for each worker.
 */
#ifndef SPECMAN_HTTP_H
#define SPECMAN_HTTP_H

#include "base/err.h"
#include "http_count.h"
#include "recurring.h"
#include "status.h"
#include "storage/storage.h"
#include "tls/tls.h"

struct http;

/* What it is given must outlive it. */
struct http_settings {
	struct store *store;
	struct recurring *troubles;
	unsigned workers;
	struct status *status;
	const char *htpasswd; /* the file of those who may ask; NULL: anyone */
	bool has_listings;
	bool has_access_log;
	/*
	 * When the store had all that the registry has, in seconds since 1970; 0: not
	 * known. Asked by any worker at each answer. NULL: nobody knows.
	 */
	int64_t (*synced_at)(void *ctx);
	void *synced_ctx;
};

/* ERR_CONFIG for a broken file of users. */
MUST_CHECK struct http *http_new(const struct http_settings *settings, struct err *err);
void http_free(struct http *http);

/* What all workers have counted so far. Any thread, cheap. */
void http_count(const struct http *http, struct http_totals *out_totals);

/* The functions that tls calls; valid while http lives. */
struct tls_backend http_backend(struct http *http);

#endif
