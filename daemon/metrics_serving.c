/* What is served, to whom, and how fast; see metrics.h. */
#include "metrics_parts.h"

#include <string.h>

static void add_view(struct exposition *e, struct store *store)
{
	static const struct metric info = { "specman_view", METRIC_INFO, NULL,
		                            "What is served: the set of releases, and the tag "
		                            "that is on top." };
	struct store_view *view = store_view_get(store);
	size_t releases = store_view_release_count(view);
	uint64_t bytes, files = store_view_files(view, &bytes);
	const struct single singles[] = {
		{ { "specman_view_releases", METRIC_GAUGE, NULL, "Releases that are served." },
		  (double)releases },
		{ { "specman_view_files", METRIC_GAUGE, NULL, "Files of the tree that is served." },
		  (double)files },
		{ { "specman_view_bytes", METRIC_GAUGE, "bytes", "Size of all these files." },
		  (double)bytes },
	};

	add_singles(e, singles, sizeof(singles) / sizeof(singles[0]));
	exposition_family(e, &info);
	exposition_value(
		e,
		(const struct metric_label[]){
			{ "view", store_view_id(view) },
			{ "top", releases ? store_view_release(view, releases - 1)->tag : "" },
			{ NULL, NULL } },
		1);
	store_view_put(view);
}

static void add_requests(struct exposition *e, const struct http_totals *totals)
{
	static const struct metric metric = {
		"specman_http_requests", METRIC_COUNTER, NULL,
		"Requests by method and status; none: the client left before there was an "
		"answer, or the head could not be read."
	};

	exposition_family(e, &metric);
	for (size_t i = 0; i < HTTP_METHODS; i++) {
		for (size_t k = 0; k < HTTP_CODES; k++) {
			/* Those of GET from the start, so that rates see their first. */
			if (i == 0 || totals->requests[i][k])
				exposition_value(e,
				                 (const struct metric_label[]){
							 { "method", http_methods[i] },
							 { "code", http_code_name(k) },
							 { NULL, NULL } },
				                 (double)totals->requests[i][k]);
		}
	}
}

static void add_durations(struct exposition *e, const struct http_totals *totals)
{
	static const struct metric metric = {
		"specman_http_request_duration_seconds", METRIC_HISTOGRAM, "seconds",
		"From a request's first line to the end of its answer."
	};

	exposition_family(e, &metric);
	exposition_histogram(e, http_bound_names, totals->buckets, HTTP_BOUNDS,
	                     (double)totals->sum_us / 1e6);
}

static void add_logins(struct exposition *e, const struct http_totals *totals)
{
	static const struct metric metric = {
		"specman_http_logins_refused", METRIC_COUNTER, NULL,
		"Requests that may not ask, where --htpasswd is used, by reason."
	};
	static const char *const reasons[HTTP_LOGINS] = {
		[HTTP_LOGIN_MISSING] = "missing",
		[HTTP_LOGIN_WRONG] = "wrong",
		[HTTP_LOGIN_OFTEN] = "too_often",
		[HTTP_LOGIN_BUSY] = "busy",
	};

	exposition_family(e, &metric);
	for (size_t i = 0; i < HTTP_LOGINS; i++)
		exposition_value(e, LABEL("reason", reasons[i]), (double)totals->logins_refused[i]);
}

static void add_handshakes(struct exposition *e, const struct tls_counters *tls)
{
	static const struct metric handshakes = {
		"specman_tls_handshakes", METRIC_COUNTER, NULL,
		"TLS handshakes by result and version; gone: the client left meanwhile."
	};
	static const struct metric resumptions = { "specman_tls_resumptions", METRIC_COUNTER, NULL,
		                                   "Handshakes that resumed a session." };
	static const char *const versions[TLS_VERSIONS] = { "TLSv1.2", "TLSv1.3" };
	static const char *const ends[TLS_HANDSHAKE_ENDS] = {
		[TLS_HANDSHAKE_FAILED] = "failed",
		[TLS_HANDSHAKE_GONE] = "gone",
		[TLS_HANDSHAKE_TIMEOUT] = "timeout",
	};

	exposition_family(e, &handshakes);
	for (size_t i = 0; i < TLS_VERSIONS; i++)
		exposition_value(e,
		                 (const struct metric_label[]){ { "result", "done" },
		                                                { "version", versions[i] },
		                                                { NULL, NULL } },
		                 (double)tls->handshakes[i]);
	for (size_t i = 0; i < TLS_HANDSHAKE_ENDS; i++)
		exposition_value(e,
		                 (const struct metric_label[]){ { "result", ends[i] },
		                                                { "version", "none" },
		                                                { NULL, NULL } },
		                 (double)tls->failed[i]);
	exposition_family(e, &resumptions);
	for (size_t i = 0; i < TLS_VERSIONS; i++)
		exposition_value(e, LABEL("version", versions[i]), (double)tls->resumed[i]);
}

static void add_refused(struct exposition *e, const struct tls_counters *tls)
{
	static const struct metric metric = {
		"specman_connections_refused", METRIC_COUNTER, NULL,
		"Connections turned away: over --max-connections (all), or over "
		"--max-connections-per-address (address)."
	};

	exposition_family(e, &metric);
	exposition_value(e, LABEL("cap", "all"), (double)tls->refused[TLS_CAP_ALL]);
	exposition_value(e, LABEL("cap", "address"), (double)tls->refused[TLS_CAP_ADDRESS]);
}

void metrics_add_serving(struct exposition *e, const struct metrics *metrics)
{
	struct http_totals http;
	struct tls_counters tls;

	http_count(metrics->http, &http);
	tls_server_count(metrics->server, &tls);
	const struct single singles[] = {
		{ { "specman_http_requests_in_flight", METRIC_GAUGE, NULL,
		    "Requests whose answer is not sent whole yet." },
		  (double)http.in_flight },
		{ { "specman_http_answers_broken_off", METRIC_COUNTER, NULL,
		    "Answers that the client did not take to their end." },
		  (double)http.broken },
		{ { "specman_http_response_bytes", METRIC_COUNTER, "bytes",
		    "Bytes of answers, heads included, before TLS." },
		  (double)tls.written_bytes },
		{ { "specman_connections_accepted", METRIC_COUNTER, NULL,
		    "Connections taken on port 8443." },
		  (double)tls.accepted },
		{ { "specman_connections_open", METRIC_GAUGE, NULL,
		    "Connections that are open now." },
		  (double)tls.open },
		{ { "specman_certificate_expiry_timestamp_seconds", METRIC_GAUGE, "seconds",
		    "When the certificate of port 8443 ends." },
		  (double)tls_server_not_after(metrics->server) },
	};

	add_view(e, metrics->store);
	add_requests(e, &http);
	add_durations(e, &http);
	add_logins(e, &http);
	add_refused(e, &tls);
	add_handshakes(e, &tls);
	add_singles(e, singles, sizeof(singles) / sizeof(singles[0]));
}
