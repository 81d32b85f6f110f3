/*
 * The admin port: plain HTTP, away from the workers of port 8443, for probes,
 * metrics, the status page and webhooks. A table of routes; what they say is
 * the routes' own.
 */
#ifndef SPECMAN_ADMIN_H
#define SPECMAN_ADMIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/listen.h"

enum { ADMIN_BODY_MAX = 256 * 1024 }; /* of a request; more is 413 */

/* A request, borrowed for the call of its route. */
struct admin_request {
	const char *body; /* "" when there is none */
	size_t body_size;
	void *connection; /* for the functions below */
};

/* The value of a header, or NULL. */
const char *admin_header(const struct admin_request *request, const char *name);

/* Whether the query has this key, with or without a value. */
bool admin_has_argument(const struct admin_request *request, const char *name);

/* Its value, or NULL. */
const char *admin_argument(const struct admin_request *request, const char *name);

/* What a route answers; filled with 200, text/plain and an empty body before. */
struct admin_answer {
	unsigned status;
	const char *type;      /* lives for ever */
	const char *policy;    /* Content-Security-Policy of a page, lives for ever; NULL: none */
	const char *challenge; /* WWW-Authenticate of a 401; NULL: none */
	struct buf body;       /* released by the admin port */
};

/* Called from a thread of the admin port; several listeners call at the same time. */
typedef void admin_answerer(void *ctx, const struct admin_request *request,
                            struct admin_answer *answer);

struct admin_route {
	const char *path;
	bool is_post; /* else GET and HEAD */
	admin_answerer *answer;
	void *ctx;
};

/* Settings and routes are borrowed during the call, but for what is in the table. */
struct admin_settings {
	const struct listen_address *listen;
	size_t listen_count;
	const struct admin_route *routes; /* must outlive the admin port */
	size_t route_count;
};

struct admin;

/* ERR_IO for sockets. */
MUST_CHECK struct admin *admin_start(const struct admin_settings *settings, struct err *err);
MUST_CHECK int admin_address(const struct admin *admin, size_t index,
                             struct listen_address *out_address, struct err *err);
void admin_stop(struct admin *admin);

#endif
