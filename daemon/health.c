/* Whether the daemon is live and ready; see health.h. */
#include "health.h"

#include <inttypes.h>
#include <stdio.h>

#include <microhttpd.h>

#include "base/cleanup.h"
#include "overview.h"

DEFINE_CLEANUP(cleanup_overview, struct overview, overview_free);

enum { WHY_SIZE = 900 };

/* What was looked at. */
struct report {
	struct buf text;
	bool has_failed;
	char trouble[200]; /* the first that decides */
	struct err err;
};

/* A check that decides; trouble NULL: it is well. */
static void decide(struct report *report, const char *name, const char *trouble, const char *well)
{
	int failed = trouble ? buf_addf(&report->text, &report->err, "[-]%s failed: %s\n", name,
	                                trouble)
	                     : buf_addf(&report->text, &report->err, "[+]%s ok%s%s\n", name,
	                                *well ? ": " : "", well);

	report->has_failed |= failed || trouble;
	if (trouble && !*report->trouble)
		(void)snprintf(report->trouble, sizeof(report->trouble), "%s", trouble);
}

/* One that decides nothing. */
static void inform(struct report *report, const char *name, bool is_well, const char *text)
{
	if (buf_addf(&report->text, &report->err, "[%c]%s %s%s%s (for information)\n",
	             is_well ? '+' : '-', name, is_well ? "ok" : "failed", *text ? ": " : "", text))
		report->has_failed = true;
}

static void conclude(struct report *report, const char *probe, const struct admin_request *request,
                     struct admin_answer *answer)
{
	const char *verdict = report->has_failed ? "failed" : "passed";
	int failed;

	answer->status = report->has_failed ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK;
	if (admin_has_argument(request, "verbose"))
		failed = buf_addf(&answer->body, &report->err, "%s%s check %s\n",
		                  buf_text(&report->text), probe, verdict);
	else
		failed = buf_addf(&answer->body, &report->err, "%s\n",
		                  report->has_failed ? report->trouble : "ok");
	if (failed)
		answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	buf_release(&report->text);
}

void health_live(void *ctx, const struct admin_request *request, struct admin_answer *answer)
{
	const struct overviews *overviews = ctx;
	struct report report = { .text = BUF_INIT(4096) };
	/* Threads that have ended in order are no reason to be killed. */
	bool is_stopping = overviews_is_stopping(overviews);

	decide(&report, "workers",
	       is_stopping || overviews_workers_turn(overviews) ? NULL
	                                                        : "a worker does not go round",
	       is_stopping ? "stopping" : "");
	decide(&report, "sync-thread",
	       is_stopping || overviews_sync_turns(overviews) ? NULL
	                                                      : "the sync thread does not go round",
	       is_stopping ? "stopping" : "");
	conclude(&report, "livez", request, answer);
}

static void inform_of_needs(struct report *report, const struct overview *overview)
{
	char why[WHY_SIZE], name[STATUS_SUBJECT_SIZE + 8];

	for (size_t i = 0; i < overview->need_count; i++) {
		const struct overview_need *need = &overview->needs[i];

		(void)snprintf(name, sizeof(name), "%s%s", need->is_tag ? "tag " : "",
		               need->subject);
		(void)snprintf(why, sizeof(why), "%s: %s", need->what, need->why);
		inform(report, name, false, why);
	}
}

static void inform_of_all(struct report *report, const struct overview *overview)
{
	const struct status_snapshot *status = &overview->status;
	char text[WHY_SIZE], at[32];

	inform(report, "status", overview->state == OVERVIEW_HEALTHY, overview->sentence);
	if (status->success_at)
		(void)snprintf(text, sizeof(text), "last success %s",
		               overview_time(at, status->success_at));
	else
		(void)snprintf(text, sizeof(text), "no success since the start");
	inform(report, "last-sync", status->success_at != 0, text);
	(void)snprintf(text, sizeof(text), "%" PRIu64 " MiB of room", overview->disk_room >> 20);
	inform(report, "disk-room", !overview->is_disk_low, text);
	(void)snprintf(text, sizeof(text), "ends %s", overview_time(at, overview->cert_not_after));
	inform(report, "server-certificate", overview->cert_not_after > overview->now, text);
	inform_of_needs(report, overview);
}

void health_ready(void *ctx, const struct admin_request *request, struct admin_answer *answer)
{
	struct overviews *overviews = ctx;
	struct report report = { .text = BUF_INIT(256 * 1024) };
	size_t count = overviews_releases(overviews);
	char releases[48];

	decide(&report, "running", overviews_is_stopping(overviews) ? "stopping" : NULL, "");
	decide(&report, "serving", count ? NULL : "nothing to serve yet",
	       overview_count(releases, count, "release", "releases"));
	if (admin_has_argument(request, "verbose")) {
		CLEANUP(cleanup_overview)
		struct overview *overview = overview_new(overviews, &report.err);

		if (overview)
			inform_of_all(&report, overview);
	}
	conclude(&report, "readyz", request, answer);
}
