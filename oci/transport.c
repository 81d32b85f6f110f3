/* HTTP exchanges side by side; see transport.h. */
#include "oci/transport.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/cleanup.h"
#include "oci/connector.h"
#include "oci/counters.h"
#include "oci/failure.h"
#include "oci/limits.h"
#include "oci/url.h"

/* A place for one exchange under way. Its handle is kept from one to the next. */
struct slot {
	struct transport *transport;
	struct exchange *exchange; /* NULL: free */
	CURL *easy;
	struct curl_slist *headers;
	char *url; /* of the request under way; another than the exchange's after a redirect */
	int redirects;
	bool started;
	struct connection connection;
	char error[CURL_ERROR_SIZE];
};

struct transport {
	const struct cancel *cancel;
	CURLM *multi;
	struct connector *connector;
	char *user_agent;
	long idle_s;
	bool plain_http;
	struct oci_counters *counters; /* or NULL */
	/* The place that has asked for a client certificate and was content with what it got. */
	char content[URL_PLACE_SIZE];
	size_t active;
	struct slot slots[LIMIT_PARALLEL];
};

DEFINE_CLEANUP(cleanup_transport, struct transport, transport_free);

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_started = CURLE_FAILED_INIT;

static void start_curl(void)
{
	curl_started = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int open_handles(struct transport *transport, struct err *err)
{
	transport->multi = curl_multi_init();
	/* By default it keeps four for each request under way: a poll's list would leave four. */
	if (!transport->multi ||
	    curl_multi_setopt(transport->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	                      (long)LIMIT_PARALLEL) ||
	    curl_multi_setopt(transport->multi, CURLMOPT_MAXCONNECTS, (long)LIMIT_PARALLEL))
		return err_set_sys(err, ENOMEM, "HTTP client");
	for (size_t i = 0; i < LIMIT_PARALLEL; i++) {
		struct slot *slot = &transport->slots[i];

		slot->transport = transport;
		slot->easy = curl_easy_init();
		if (!slot->easy)
			return err_set_sys(err, ENOMEM, "HTTP client");
	}
	return 0;
}

struct transport *transport_new(const struct transport_settings *settings,
                                const struct cancel *cancel, struct err *err)
{
	CLEANUP(cleanup_transport) struct transport *transport = NULL;

	(void)pthread_once(&curl_once, start_curl);
	if (curl_started) {
		(void)err_set(err, ERR_IO, "libcurl doesn't start: %s",
		              curl_easy_strerror(curl_started));
		return NULL;
	}
	transport = calloc(1, sizeof(*transport));
	if (!transport) {
		(void)err_set_sys(err, ENOMEM, "HTTP client");
		return NULL;
	}
	transport->cancel = cancel;
	transport->idle_s = settings->idle_s ? settings->idle_s : LIMIT_IDLE_S;
	transport->plain_http = settings->plain_http;
	transport->counters = settings->counters;
	transport->user_agent = strdup(settings->user_agent ? settings->user_agent : "specman");
	if (!transport->user_agent) {
		(void)err_set_sys(err, ENOMEM, "HTTP client");
		return NULL;
	}
	transport->connector = connector_new(settings, err);
	if (!transport->connector || open_handles(transport, err))
		return NULL;
	return STEAL(transport);
}

/* Copies of Authorization are wiped: memory that is freed is seen again. */
static void wipe_headers(struct slot *slot)
{
	for (struct curl_slist *line = slot->headers; line; line = line->next)
		explicit_bzero(line->data, strlen(line->data));
	curl_slist_free_all(slot->headers);
	slot->headers = NULL;
}

static void slot_clear(struct slot *slot)
{
	wipe_headers(slot);
	free(slot->url);
	slot->url = NULL;
	slot->exchange = NULL;
	slot->redirects = 0;
}

void transport_free(struct transport *transport)
{
	if (!transport)
		return;
	for (size_t i = 0; i < LIMIT_PARALLEL; i++) {
		slot_clear(&transport->slots[i]);
		curl_easy_cleanup(transport->slots[i].easy);
	}
	curl_multi_cleanup(transport->multi);
	connector_free(transport->connector);
	free(transport->user_agent);
	free(transport);
}

static size_t on_header(char *line, size_t unit, size_t count, void *ctx)
{
	struct slot *slot = ctx;

	return exchange_take_line(slot->exchange, line, unit * count) ? 0 : unit * count;
}

static long status_of(const struct slot *slot)
{
	long status = 0;

	(void)curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static int64_t length_of(const struct slot *slot)
{
	curl_off_t length = -1;

	(void)curl_easy_getinfo(slot->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	return length;
}

static size_t on_body(char *bytes, size_t unit, size_t count, void *ctx)
{
	struct slot *slot = ctx;
	size_t size = unit * count;

	counters_received(slot->transport->counters, size);
	if (exchange_take_body(slot->exchange, status_of(slot), length_of(slot), bytes, size))
		return size ? 0 : CURL_WRITEFUNC_ERROR;
	return size;
}

static size_t on_read(char *bytes, size_t unit, size_t count, void *ctx)
{
	struct slot *slot = ctx;
	size_t size;

	return exchange_give_body(slot->exchange, bytes, unit * count, &size) ? CURL_READFUNC_ABORT
	                                                                      : size;
}

/* A kept connection turns out to be dead: what went into it goes into another one. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct slot *slot = ctx;

	if (origin != SEEK_SET || offset < 0 || offset > slot->exchange->upload->size)
		return CURL_SEEKFUNC_FAIL;
	slot->exchange->sent = offset;
	return CURL_SEEKFUNC_OK;
}

/* curl_easy_setopt that remembers whether any of a series failed. */
#define SET(option, value) (failed |= curl_easy_setopt(slot->easy, option, value) != CURLE_OK)

static int set_bounds(struct slot *slot, const struct place *place)
{
	const struct exchange *exchange = slot->exchange;
	bool plain = slot->transport->plain_http || exchange->may_be_plain;
	bool failed = false;

	SET(CURLOPT_PROTOCOLS_STR, plain ? "http,https" : "https");
	SET(CURLOPT_CONNECTTIMEOUT_MS,
	    exchange->connect_ms ? exchange->connect_ms : (long)LIMIT_CONNECT_MS);
	SET(CURLOPT_LOW_SPEED_LIMIT, (long)LIMIT_LEAST_RATE);
	SET(CURLOPT_LOW_SPEED_TIME, exchange->idle_s ? exchange->idle_s : slot->transport->idle_s);
	if (exchange->upload)
		SET(CURLOPT_UPLOAD_BUFFERSIZE, 128L << 10);
	else if (exchange->size <= LIMIT_SIGNATURE_BYTES)
		SET(CURLOPT_TIMEOUT_MS,
		    exchange->answer_ms ? exchange->answer_ms : (long)LIMIT_ANSWER_MS);
	else
		SET(CURLOPT_BUFFERSIZE, 128L << 10);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	/* Without TLS there is only HTTP/1.1: a silent first request would hold up all others. */
	SET(CURLOPT_PIPEWAIT, place->secure ? 1L : 0L);
	SET(CURLOPT_NOSIGNAL, 1L);
	/* Else a name under resolution holds up a stop. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	return failed ? -1 : 0;
}

static int add_line(struct slot *slot, const char *name, const char *value)
{
	CLEANUP(cleanup_free) char *line = NULL;
	struct curl_slist *headers;
	int size = asprintf(&line, "%s: %s", name, value);

	if (size < 0) {
		line = NULL;
		return -1;
	}
	headers = curl_slist_append(slot->headers, line);
	explicit_bzero(line, (size_t)size);
	if (!headers)
		return -1;
	slot->headers = headers;
	return 0;
}

static int set_headers(struct slot *slot)
{
	const struct exchange *exchange = slot->exchange;

	wipe_headers(slot);
	/* A body that was packed on its way has another digest. */
	if (add_line(slot, "Accept-Encoding", "identity") ||
	    (exchange->accept && add_line(slot, "Accept", exchange->accept)))
		return -1;
	if (exchange->offset) {
		char range[32];

		(void)snprintf(range, sizeof(range), "bytes=%" PRId64 "-", exchange->offset);
		if (add_line(slot, "Range", range))
			return -1;
	}
	if (exchange->authorization && !exchange->foreign &&
	    add_line(slot, "Authorization", exchange->authorization))
		return -1;
	if (exchange->content_type && add_line(slot, "Content-Type", exchange->content_type))
		return -1;
	for (size_t i = 0; i < exchange->line_count && !exchange->foreign; i++) {
		if (add_line(slot, exchange->lines[i].name, exchange->lines[i].value))
			return -1;
	}
	return curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, slot->headers) ? -1 : 0;
}

static int set_signature(struct slot *slot)
{
	const struct exchange_signature *signature = slot->exchange->signature;
	bool failed = false;

	if (!signature || slot->exchange->foreign)
		return 0;
	SET(CURLOPT_AWS_SIGV4, signature->scope);
	SET(CURLOPT_USERNAME, signature->access_key);
	SET(CURLOPT_PASSWORD, signature->secret_key);
	return failed ? -1 : 0;
}

static int set_body(struct slot *slot)
{
	const struct exchange *exchange = slot->exchange;
	const char *const methods[] = {
		[EXCHANGE_POST] = "POST", [EXCHANGE_PUT] = "PUT", [EXCHANGE_PATCH] = "PATCH"
	};
	bool failed = false;

	if (exchange->method < EXCHANGE_POST)
		return 0;
	if (exchange->upload) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)exchange->upload->size);
		SET(CURLOPT_READFUNCTION, on_read);
		SET(CURLOPT_READDATA, slot);
		SET(CURLOPT_SEEKFUNCTION, on_seek);
		SET(CURLOPT_SEEKDATA, slot);
	} else if (exchange->form) {
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(exchange->form));
		SET(CURLOPT_POSTFIELDS, exchange->form);
	}
	SET(CURLOPT_CUSTOMREQUEST, methods[exchange->method]);
	return failed ? -1 : 0;
}

static int set_question(struct slot *slot)
{
	const struct exchange *exchange = slot->exchange;
	bool failed = false;

	SET(CURLOPT_URL, slot->url);
	SET(CURLOPT_USERAGENT, slot->transport->user_agent);
	SET(CURLOPT_ERRORBUFFER, slot->error);
	SET(CURLOPT_PRIVATE, slot);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, slot);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, slot);
	if (exchange->method == EXCHANGE_HEAD)
		SET(CURLOPT_NOBODY, 1L);
	return failed ? -1 : set_body(slot);
}

/* Ask what slot->url names. Failures go to the exchange. */
static int slot_start(struct slot *slot, const struct place *place)
{
	struct transport *transport = slot->transport;
	struct exchange *exchange = slot->exchange;
	struct err err;

	if (!place->secure && !transport->plain_http && !exchange->may_be_plain) {
		(void)err_set(&err, ERR_FORMAT, "%s: a URL without TLS is refused", place->host);
		return exchange_fail(exchange, &err);
	}
	(void)place_format(place, exchange->host);
	curl_easy_reset(slot->easy);
	slot->error[0] = '\0';
	if (set_bounds(slot, place) ||
	    connector_set(transport->connector, slot->easy, place, exchange->direct,
	                  &slot->connection) ||
	    set_headers(slot) || set_signature(slot) || set_question(slot) ||
	    curl_multi_add_handle(transport->multi, slot->easy)) {
		(void)err_set(&err, ERR_IO, "libcurl can't take a request to %s", exchange->host);
		return exchange_fail(exchange, &err);
	}
	slot->started = true;
	return 0;
}

static int slot_open(struct slot *slot, struct exchange *exchange)
{
	struct place place;
	struct err err;

	slot->exchange = exchange;
	slot->url = strdup(exchange->url);
	if (!slot->url) {
		(void)err_set_sys(&err, ENOMEM, "request");
		return exchange_fail(exchange, &err);
	}
	if (url_place(slot->url, &place, &err))
		return exchange_fail(exchange, &err);
	return slot_start(slot, &place);
}

static void slot_stop(struct slot *slot)
{
	if (slot->started)
		(void)curl_multi_remove_handle(slot->transport->multi, slot->easy);
	slot->started = false;
}

static bool is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/*
 * Go on where a redirect leads (RFC 9110, section 15.4), from one GET or HEAD to
 * the same. libcurl could, but wouldn't say whose answer a 401 then is.
 */
static int slot_redirect(struct slot *slot, const char *location)
{
	struct exchange *exchange = slot->exchange;
	CLEANUP(cleanup_free) char *url = NULL;
	struct place origin, from, to;
	struct err err;

	if (++slot->redirects > LIMIT_REDIRECTS) {
		(void)err_set(&err, ERR_LIMIT, "%s: more than %d redirects", exchange->host,
		              LIMIT_REDIRECTS);
		(void)err_cause(&err, OCI_CAUSE_REDIRECT_REFUSED);
		return exchange_fail(exchange, &err);
	}
	url = url_resolve(slot->url, location, &err);
	if (!url || url_place(url, &to, &err) || url_place(slot->url, &from, &err) ||
	    url_place(exchange->url, &origin, &err)) {
		(void)err_context(&err, "%s: redirect", exchange->host);
		(void)err_cause(&err, OCI_CAUSE_REDIRECT_REFUSED);
		return exchange_fail(exchange, &err);
	}
	if (from.secure && !to.secure) {
		(void)err_set(&err, ERR_FORMAT, "%s: redirect from https to http at %s is refused",
		              exchange->host, to.host);
		(void)err_cause(&err, OCI_CAUSE_REDIRECT_REFUSED);
		return exchange_fail(exchange, &err);
	}
	if (!place_equal(&origin, &to))
		exchange->foreign = true;
	free(slot->url);
	slot->url = STEAL(url);
	return slot_start(slot, &to);
}

static void slot_fail(struct slot *slot, CURLcode code)
{
	struct exchange *exchange = slot->exchange;
	char who[sizeof("redirected to ") + URL_PLACE_SIZE];
	long status = status_of(slot);
	struct failure failure;
	struct err err;

	(void)snprintf(who, sizeof(who), "%s%s", exchange->foreign ? "redirected to " : "",
	               exchange->host);
	failure_read(slot->easy, code, slot->error, &slot->connection, &failure);
	failure.answered = failure.answered || !strcmp(slot->transport->content, exchange->host);
	(void)failure_set(&failure, who, &err);
	if ((status == 200 || status == 206) && exchange->size >= 0)
		(void)err_context(&err, "broken off after %" PRId64 " of %" PRId64 " bytes",
		                  exchange->received + (status == 206 ? exchange->offset : 0),
		                  exchange->size);
	(void)exchange_fail(exchange, &err);
}

/* Whether an error is told: what its status says holds although its body broke off. */
static bool has_refusal(const struct slot *slot, long status)
{
	return slot->exchange->headers_ended && status >= 300;
}

/* A request has ended. Returns whether its exchange has, too: a redirect may go on. */
static bool slot_end(struct slot *slot, CURLcode code)
{
	struct exchange *exchange = slot->exchange;
	long status = status_of(slot);
	int64_t length = length_of(slot);
	const char *location;

	slot_stop(slot);
	if (exchange->failed) {
		counters_answer(slot->transport->counters, exchange->method, status);
		return true;
	}
	if (code && !exchange->enough && !has_refusal(slot, status)) {
		counters_answer(slot->transport->counters, exchange->method, 0);
		slot_fail(slot, code);
		return true;
	}
	counters_answer(slot->transport->counters, exchange->method, status);
	if (slot->connection.peer.asked && status < 400)
		memcpy(slot->transport->content, exchange->host, sizeof(exchange->host));
	location = exchange_header(exchange, "Location", 0);
	if (exchange->follow && is_redirect(status) && location) {
		exchange->enough = false;
		return slot_redirect(slot, location) != 0;
	}
	exchange_end(exchange, status, length);
	return true;
}

static void give_back(struct slot *slot, const struct transport_work *work)
{
	struct exchange *exchange = slot->exchange;

	slot_stop(slot);
	slot_clear(slot);
	slot->transport->active--;
	work->done(work->ctx, exchange);
}

static struct slot *free_slot(struct transport *transport)
{
	for (size_t i = 0; i < LIMIT_PARALLEL; i++) {
		if (!transport->slots[i].exchange)
			return &transport->slots[i];
	}
	return NULL;
}

static void fill(struct transport *transport, const struct transport_work *work)
{
	struct exchange *exchange;
	struct slot *slot;

	while ((slot = free_slot(transport)) && (exchange = work->next(work->ctx))) {
		transport->active++;
		if (slot_open(slot, exchange))
			give_back(slot, work);
	}
}

/* Move bytes, give back what has ended, and wait for more to do. */
static int step(struct transport *transport, const struct transport_work *work, struct err *err)
{
	struct curl_waitfd stop = { .fd = cancel_fd(transport->cancel),
		                    .events = CURL_WAIT_POLLIN };
	const CURLMsg *message;
	CURLMcode failed;
	bool ended = false;
	int running, left;

	failed = curl_multi_perform(transport->multi, &running);
	while (!failed && (message = curl_multi_info_read(transport->multi, &left))) {
		CURLcode code = message->data.result;
		struct slot *slot = NULL;

		if (message->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot))
			continue;
		ended = true;
		if (slot_end(slot, code))
			give_back(slot, work);
	}
	if (cancel_check(transport->cancel, err))
		return -1;
	if (!failed && !ended)
		failed = curl_multi_poll(transport->multi, &stop, 1, LIMIT_POLL_MS, NULL);
	if (failed)
		return err_set(err, ERR_IO, "libcurl: %s", curl_multi_strerror(failed));
	return 0;
}

static void fail_all(struct transport *transport, const struct transport_work *work,
                     const struct err *err)
{
	struct exchange *exchange;

	for (size_t i = 0; i < LIMIT_PARALLEL; i++) {
		struct slot *slot = &transport->slots[i];

		if (!slot->exchange)
			continue;
		(void)exchange_fail(slot->exchange, err);
		give_back(slot, work);
	}
	while ((exchange = work->next(work->ctx))) {
		(void)exchange_fail(exchange, err);
		work->done(work->ctx, exchange);
	}
}

void transport_run(struct transport *transport, const struct transport_work *work)
{
	struct err err;

	if (cancel_check(transport->cancel, &err)) {
		fail_all(transport, work, &err);
		return;
	}
	for (fill(transport, work); transport->active; fill(transport, work)) {
		if (step(transport, work, &err)) {
			fail_all(transport, work, &err);
			return;
		}
	}
}

static struct exchange *next_single(void *ctx)
{
	struct exchange **single = ctx;

	return STEAL(*single);
}

static void done_single(void *ctx, struct exchange *exchange)
{
	(void)ctx;
	(void)exchange;
}

void transport_ask(struct transport *transport, struct exchange *exchange)
{
	struct exchange *single = exchange;
	const struct transport_work work = { next_single, done_single, &single };

	transport_run(transport, &work);
}
