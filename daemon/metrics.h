/*
 * /metrics: the daemon's figures for Prometheus. All are had without waiting for
 * a worker or a round, and there are as many of them however much is served: no
 * label has a path, a tag or a client's word in it, but for the name of the
 * release on top.
 */
#ifndef SPECMAN_METRICS_H
#define SPECMAN_METRICS_H

#include "admin.h"
#include "base/err.h"
#include "config.h"
#include "http.h"
#include "status.h"
#include "storage/storage.h"
#include "tls/tls.h"

/* What the figures are from; must outlive it. */
struct metrics {
	const struct config *config;
	struct store *store;
	const struct http *http;
	const struct tls_server *server;
	struct status *status;
};

/*
 * The route; ctx is a struct metrics. OpenMetrics for who asks for it, else
 * Prometheus' older text format. 500 without memory.
 */
void metrics_answer(void *ctx, const struct admin_request *request, struct admin_answer *answer);

#endif
