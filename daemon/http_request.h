/*
 * A request under way, for the files that answer it: http.c (libmicrohttpd, the
 * head, who may ask), http_answer.c (short texts, errors), http_path.c (files
 * and folders), http_file.c (contents), http_own.c (/.specman), http_views.c (views by their
 * names).
 */
#ifndef SPECMAN_HTTP_REQUEST_H
#define SPECMAN_HTTP_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <microhttpd.h>

#include "login.h"
#include "base/cleanup.h"
#include "conditional.h"
#include "head.h"
#include "http.h"
#include "http_count.h"
#include "offload.h"
#include "target.h"

enum { HTTP_RETRY_SECONDS = 5 };

struct http {
	struct http_settings settings;
	struct login *login;         /* NULL: anyone may ask */
	struct offload *loader;      /* of single releases */
	atomic_bool has_ended;       /* both are gone, or on their way */
	struct http_counts **counts; /* of each worker */
	unsigned worker_count;
};

/* One worker's. */
struct instance {
	struct http *http;
	struct MHD_Daemon *daemon;
	struct sockets *sockets; /* of its connections, for the daemon */
	int epoll;               /* readable when libmicrohttpd has work, or `wake` is */
	int wake;                /* an eventfd: a request goes on */
	atomic_bool is_woken;
	bool is_ending; /* each answer is its connection's last */
	int64_t synced_at;
	char synced_text[HTTP_DATE_SIZE]; /* the same, as it is written */
	struct http_counts *counts;       /* of http */
	struct release_list *releases;    /* the last one that was asked for, or NULL */
};

/* The text of /.specman/releases, which all answers of a view share. */
struct release_list;

/* A release that is being read for a request. */
struct loading;

struct listing;

/* From the request's first line until its answer is written or given up. */
struct request {
	struct instance *instance;
	struct MHD_Connection *connection;
	const char *method;
	struct head head;
	bool is_read; /* its head */
	bool is_head; /* its method */
	bool wants_json;
	bool may_ask;
	struct login_try *attempt;
	struct loading *loading;
	struct listing *listing;       /* that is the answer, or NULL */
	const struct store_view *view; /* that the answer is from; NULL: from none */
	bool stays_in_view;            /* links of its listings go nowhere else */
	int64_t since_us;
	/* Of the answer, for the access log: */
	unsigned status;
	uint64_t bytes;
	char release[STORE_TAG_SIZE];

	size_t target_length;
	char target[]; /* as it came */
};

static inline void cleanup_response(struct MHD_Response **response)
{
	if (*response)
		MHD_destroy_response(*response);
}

/* Microseconds of CLOCK_MONOTONIC. */
int64_t http_now_us(void);

/* The client's address. */
const struct sockaddr_storage *http_peer(const struct request *request);

/* Let libmicrohttpd leave a request alone, and call for its answer again. */
void http_suspend(struct request *request);
void http_resume(void *request);

/*
 * What libmicrohttpd sends too much: of what it sends next and that ends in `ending`, that is
 * replaced. Static texts.
 */
void http_replace_end(const struct request *request, const char *ending, const char *instead);

/* ---- http_answer.c ---- */

/* One more field of an answer; whether there was memory for it. */
bool http_add(struct MHD_Response *response, const char *name, const char *value);

/*
 * Send a response of `bytes` bytes (a listing counts its own as they are made); it stays the
 * caller's. It gets the fields that say which view it is from, and how fresh that is.
 */
enum MHD_Result http_queue(struct request *request, unsigned status, struct MHD_Response *response,
                           uint64_t bytes);

/*
 * A sentence without its end ("not found"): a line of text for people, JSON
 * for who wants that. name and value, when not NULL, are one more field.
 */
enum MHD_Result http_answer(struct request *request, unsigned status, const char *sentence,
                            const char *name, const char *value);

/* 200 with a text of JSON. The response is taken over; NULL is fine, and no answer. */
enum MHD_Result http_answer_json_take(struct request *request, struct MHD_Response *taken,
                                      uint64_t size);

/* 503, to be tried again soon. */
enum MHD_Result http_answer_later(struct request *request, const char *sentence);

/* ---- http_path.c ---- */

/*
 * Answer with what lies in a view at `path`, which ends target->path: below the
 * root of the whole, or of one release.
 */
enum MHD_Result http_answer_path(struct request *request, struct store_view *view,
                                 const struct target *target, const char *path);

/* ---- http_file.c ---- */

enum MHD_Result http_answer_file(struct request *request, const struct store_view *view,
                                 const struct store_entry *file);

/* ---- http_own.c ---- */

/* Whether a path is of the server's own name space. */
bool http_is_own(const char *path);

/* Answer below /.specman. view is the current one. */
enum MHD_Result http_answer_own(struct request *request, struct store_view *view,
                                const struct target *target);

/* Let go of what the worker has kept for that; no answer of it is under way any more. */
void http_own_close(struct instance *instance);

/* ---- http_views.c ---- */

/* Answer below /.specman/views; `rest` is what follows that in target->path. */
enum MHD_Result http_answer_views(struct request *request, const struct target *target,
                                  const char *rest);

/* Not while it is under way. NULL is fine. */
void http_loading_free(struct loading *loading);

#endif
