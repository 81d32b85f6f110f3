/* The server's certificate while it runs; see certificate.h. */
#include "certificate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "log.h"
#include "lookout.h"

enum {
	DAY = 24 * 60 * 60,
	EXPIRED = 4,
	OVER_MS = 150 * 1000, /* bad files are told of every minute: so long without is well */
};

static const char subject[] = "certificate";

struct certificate_watch {
	struct tls_server *server;
	struct recurring *troubles;
	struct status *status;
	struct lookout *lookout;
	/* Its thread's own: */
	int64_t not_after;  /* of the certificate that `told` is about */
	int told;           /* the last stage that was logged */
	int64_t refused_ms; /* when files were bad last; 0: they are not */
};

int certificate_stage(int64_t seconds_left)
{
	static const int days[] = { 30, 7, 1, 0 };
	int stage = 0;

	while (stage < EXPIRED && seconds_left <= (int64_t)days[stage] * DAY)
		stage++;
	return stage;
}

static const char *format_time(int64_t seconds, char text[static 32])
{
	time_t at = seconds;
	struct tm tm;

	if (!gmtime_r(&at, &tm) || !strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		(void)snprintf(text, 32, "%" PRId64, seconds);
	return text;
}

/* Once for each stage of each certificate. */
static void tell_end(struct certificate_watch *watch)
{
	int64_t not_after = tls_server_not_after(watch->server);
	int64_t left = not_after - time(NULL);
	int stage = certificate_stage(left);
	char at[32], days[24];

	if (not_after != watch->not_after)
		watch->told = 0;
	watch->not_after = not_after;
	if (stage <= watch->told)
		return;
	watch->told = stage;
	(void)format_time(not_after, at);
	(void)snprintf(days, sizeof(days), "%" PRId64, left / DAY);
	if (stage == EXPIRED)
		log_line(LOG_ERROR, "Certificate has expired",
		         (struct log_field[]){ { "expires", at }, { NULL, NULL } });
	else
		log_line(LOG_WARNING, "Certificate expires soon",
		         (struct log_field[]){
				 { "days", days }, { "expires", at }, { NULL, NULL } });
}

static void over(struct certificate_watch *watch)
{
	watch->refused_ms = 0;
	(void)recurring_over(watch->troubles, subject);
	status_over(watch->status, subject, false);
}

static void look(void *ctx, bool at_once)
{
	struct certificate_watch *watch = ctx;
	static const char msg[] = "Certificate not reloaded";
	int64_t now = clock_now_ms();
	struct err err;
	char at[32];

	switch (tls_server_refresh(watch->server, at_once, &err)) {
	case 0:
		if (watch->refused_ms && now - watch->refused_ms > OVER_MS)
			over(watch);
		break;
	case 1:
		over(watch);
		log_line(
			LOG_INFO, "Certificate reloaded",
			(struct log_field[]){
				{ "expires", format_time(tls_server_not_after(watch->server), at) },
				{ NULL, NULL } });
		break;
	default:
		watch->refused_ms = now;
		status_happened(watch->status, subject, false, msg, &err);
		if (recurring_happened(watch->troubles, subject, err.msg, now))
			log_line(LOG_ERROR, msg,
			         (struct log_field[]){ { "error", err.msg }, { NULL, NULL } });
	}
	tell_end(watch);
}

struct certificate_watch *certificate_watch_start(struct tls_server *server,
                                                  struct recurring *troubles, struct status *status,
                                                  struct err *err)
{
	struct certificate_watch *watch = calloc(1, sizeof(*watch));

	if (!watch) {
		(void)err_set_sys(err, ENOMEM, "watch of the certificate");
		return NULL;
	}
	watch->server = server;
	watch->troubles = troubles;
	watch->status = status;
	watch->lookout = lookout_start(look, watch, "the certificate", err);
	if (!watch->lookout) {
		free(watch);
		return NULL;
	}
	return watch;
}

void certificate_watch_trigger(struct certificate_watch *watch)
{
	lookout_trigger(watch->lookout);
}

void certificate_watch_stop(struct certificate_watch *watch)
{
	if (!watch)
		return;
	lookout_stop(watch->lookout);
	free(watch);
}
