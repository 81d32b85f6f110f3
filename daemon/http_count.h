/*
 * What the server of port 8443 counts of its requests. Each worker has figures of
 * its own, on cache lines of its own, and adds to them without a lock; who asks
 * gets the sum.
 */
#ifndef SPECMAN_HTTP_COUNT_H
#define SPECMAN_HTTP_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
	HTTP_METHODS = 4, /* GET, HEAD, OPTIONS, other */
	HTTP_CODES = 21,  /* those that are sent, "other", "none" */
	HTTP_BOUNDS = 16, /* of the histogram */
};

/* Why somebody may not ask. */
enum http_login {
	HTTP_LOGIN_MISSING, /* no credentials: a browser's first request */
	HTTP_LOGIN_WRONG,
	HTTP_LOGIN_OFTEN, /* the address has failed too often */
	HTTP_LOGIN_BUSY,  /* too many wait to be judged */
	HTTP_LOGINS
};

/* What the places of `requests` and `buckets` stand for. */
extern const char *const http_methods[HTTP_METHODS];
const char *http_code_name(size_t index);               /* "200"; "none": without an answer */
extern const uint64_t http_bounds_us[HTTP_BOUNDS];      /* upper bounds, inclusive */
extern const char *const http_bound_names[HTTP_BOUNDS]; /* in seconds */

struct http_totals {
	uint64_t requests[HTTP_METHODS][HTTP_CODES];
	uint64_t buckets[HTTP_BOUNDS + 1]; /* each alone; the last one is above all bounds */
	uint64_t sum_us;                   /* of all durations */
	uint64_t in_flight;                /* now */
	uint64_t broken;                   /* answers that were not sent to their end */
	uint64_t logins_refused[HTTP_LOGINS];
};

/* One worker's. */
struct http_counts;

MUST_CHECK struct http_counts *http_counts_new(struct err *err);
void http_counts_free(struct http_counts *counts);

/* The worker's thread alone. method is NULL when none was read, status 0 without an answer. */
void http_counts_began(struct http_counts *counts);
void http_counts_ended(struct http_counts *counts, const char *method, unsigned status,
                       int64_t took_us, bool is_complete);
/* One whose head could not be read, or never came to its end. */
void http_counts_unread(struct http_counts *counts);
void http_counts_login(struct http_counts *counts, enum http_login why);

/* Requests that are under way. */
unsigned http_counts_busy(const struct http_counts *counts);

/* Add one worker's to a sum. Any thread. */
void http_counts_add(const struct http_counts *counts, struct http_totals *sum);

#endif
