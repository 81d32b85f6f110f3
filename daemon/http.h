/*
 * The HTTP contract of port 8443 (RFC 9110, 9112), over libmicrohttpd: answers
 * GET and HEAD from the current view of a store, and nothing else. It is the
 * backend of tls: one libmicrohttpd daemon for each worker.
 */
#ifndef SPECMAN_HTTP_H
#define SPECMAN_HTTP_H

#include "base/err.h"
#include "storage/storage.h"
#include "tls/tls.h"

struct http;

/* The store must outlive it. */
MUST_CHECK struct http *http_new(struct store *store, struct err *err);
void http_free(struct http *http);

/* The functions that tls calls; valid while http lives. */
struct tls_backend http_backend(struct http *http);

#endif
