/* One round in the foreground; see sync_command.h. */
#include "sync_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "commands.h"
#include "control.h"
#include "fetch.h"
#include "interrupt.h"
#include "log.h"
#include "reading.h"
#include "recurring.h"
#include "status.h"
#include "storing.h"
#include "sync.h"
#include "sync_log.h"
#include "signers.h"

DEFINE_CLEANUP(cleanup_recurring, struct recurring, recurring_free);
DEFINE_CLEANUP(cleanup_cancel, struct cancel, cancel_free);
DEFINE_CLEANUP(cleanup_status, struct status, status_free);
DEFINE_CLEANUP(cleanup_signers, struct signers, signers_free);
DEFINE_CLEANUP(cleanup_sync, struct sync, sync_free);

/* ---- progress: on a terminal a bar, of which lines of the log take the place; else lines ---- */

enum { LINE_MS = 10 * 1000 };

struct showing {
	struct progress bar;
	char tag[OCI_TAG_SIZE]; /* whose layer is on its way */
	int64_t line_ms;        /* when its next line is due */
};

static void take_bar_away(void *ctx)
{
	progress_end(&((struct showing *)ctx)->bar);
}

static void show(void *ctx, const char *tag, uint64_t done, uint64_t all)
{
	struct showing *showing = ctx;
	int64_t now = clock_now_ms();
	char bytes[24], of[24];

	if (strcmp(tag, showing->tag) != 0) {
		*showing = (struct showing){ .line_ms = now + LINE_MS };
		(void)snprintf(showing->tag, sizeof(showing->tag), "%s", tag);
		showing->bar.verb = showing->tag;
	}
	if (isatty(STDERR_FILENO)) {
		progress_show(&showing->bar, done, all);
		return;
	}
	if (now < showing->line_ms)
		return;
	showing->line_ms = now + LINE_MS;
	(void)snprintf(bytes, sizeof(bytes), "%" PRIu64, done);
	(void)snprintf(of, sizeof(of), "%" PRIu64, all);
	log_line(LOG_INFO, "Still downloading",
	         (struct log_field[]){
			 { "tag", tag }, { "bytes", bytes }, { "of", of }, { NULL, NULL } });
}

static void go_round(struct sync *sync)
{
	struct showing showing = { .tag = "" };
	const struct fetch_observer observer = { show, &showing };

	log_set_before(take_bar_away, &showing);
	sync_observe(sync, &observer);
	(void)sync_round(sync);
	log_set_before(NULL, NULL);
	take_bar_away(&showing);
}

/* ---- the round ---- */

static int go_alone(const struct config *config, struct sync_outcome *out_outcome, struct err *err)
{
	CLEANUP(cleanup_recurring) struct recurring *troubles = recurring_new(err);
	CLEANUP(cleanup_status) struct status *status = troubles ? status_new(err) : NULL;
	CLEANUP(cleanup_cancel) struct cancel *cancel = status ? cancel_new(err) : NULL;
	CLEANUP(cleanup_signers)
	struct signers *signers = cancel ? signers_new(config, status, err) : NULL;
	struct storing_observer observer = { troubles, status };
	CLEANUP(cleanup_store)
	struct store *store = signers ? storing_open(config, &observer, signers, err) : NULL;
	CLEANUP(cleanup_sync)
	struct sync *sync = store ? sync_new(config, store, status, signers, cancel, err) : NULL;

	if (!sync)
		return -1;
	interrupt_begin(cancel);
	sync_log_trust(config);
	go_round(sync);
	interrupt_end();
	*out_outcome = *sync_outcome(sync);
	return 0;
}

static int fail(const char *error)
{
	log_line(LOG_ERROR, "Sync failed",
	         (struct log_field[]){ { "error", error }, { NULL, NULL } });
	return EXIT_FAILED;
}

/* A round that went here has told of its troubles already. */
static int tell(const struct sync_outcome *outcome, bool was_here)
{
	switch (outcome->verdict) {
	case SYNC_VERDICT_DONE:
		if (!was_here)
			log_line(LOG_INFO, "Sync done",
			         (struct log_field[]){ { "by", "the running daemon" },
			                               { NULL, NULL } });
		return EXIT_DONE;
	case SYNC_VERDICT_NOTHING:
		log_line(LOG_WARNING, "Nothing to serve yet",
		         (struct log_field[]){ { "reason", outcome->reason }, { NULL, NULL } });
		return EXIT_NOTHING;
	case SYNC_VERDICT_FAILED:
		return was_here ? EXIT_FAILED : fail(outcome->reason);
	case SYNC_VERDICT_STOPPED:
		break;
	}
	return fail(was_here ? "stopped before the round was done" : outcome->reason);
}

int sync_command(const struct config *config)
{
	struct sync_outcome outcome;
	struct err err;
	int failed = control_ask(config->data_dir, CONTROL_SYNC, &outcome, &err);
	bool was_here = failed && err.kind == ERR_NOT_FOUND;

	if (was_here) {
		if (curl_global_init(CURL_GLOBAL_DEFAULT))
			return fail("libcurl does not start");
		failed = go_alone(config, &outcome, &err);
		curl_global_cleanup();
	}
	return failed ? fail(err.msg) : tell(&outcome, was_here);
}
