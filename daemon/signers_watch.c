/* New keys at run time; see signers_watch.h. */
#include "signers_watch.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "log.h"
#include "lookout.h"

struct signers_watch {
	struct signers_watch_settings with;
	struct lookout *lookout;
	/* Its thread's own: */
	uint64_t seen;     /* fingerprint of the files whose keys count, or were refused */
	uint64_t last;     /* of the last look */
	struct digest sum; /* of the keys that count */
};

DEFINE_CLEANUP(cleanup_keys, struct oci_keys, oci_keys_free);

static void take(struct signers_watch *watch)
{
	static const char subject[] = "trusted keys", msg[] = "Trusted keys not reloaded";
	CLEANUP(cleanup_keys) struct oci_keys *keys = NULL;
	struct digest sum;
	struct err err;

	keys = signers_read_keys(&watch->with.config->verify_key, &err);
	if (!keys || signers_sum(keys, &sum, &err)) {
		status_happened(watch->with.status, subject, false, msg, &err);
		if (recurring_happened(watch->with.troubles, subject, err.msg, clock_now_ms()))
			log_line(LOG_ERROR, msg,
			         (struct log_field[]){ { "error", err.msg }, { NULL, NULL } });
		return;
	}
	(void)recurring_over(watch->with.troubles, subject);
	status_over(watch->with.status, subject, false);
	if (digest_equal(&sum, &watch->sum))
		return;
	watch->sum = sum;
	signers_offer_take(watch->with.signers, STEAL(keys));
	cancel_interrupt(watch->with.round);
}

static void look(void *ctx, bool at_once)
{
	struct signers_watch *watch = ctx;
	uint64_t now = signers_fingerprint(&watch->with.config->verify_key);
	bool rests = now == watch->last;

	watch->last = now;
	if (!at_once && (now == watch->seen || !rests))
		return;
	watch->seen = now;
	take(watch);
}

struct signers_watch *signers_watch_start(const struct signers_watch_settings *settings,
                                          struct err *err)
{
	struct signers_watch *watch = calloc(1, sizeof(*watch));

	if (!watch) {
		(void)err_set_sys(err, ENOMEM, "watch of the trusted keys");
		return NULL;
	}
	watch->with = *settings;
	watch->seen = watch->last = signers_seen(settings->signers);
	watch->sum = *signers_seen_sum(settings->signers);
	watch->lookout = lookout_start(look, watch, "the trusted keys", err);
	if (!watch->lookout) {
		free(watch);
		return NULL;
	}
	return watch;
}

void signers_watch_trigger(struct signers_watch *watch)
{
	if (watch)
		lookout_trigger(watch->lookout);
}

void signers_watch_stop(struct signers_watch *watch)
{
	if (!watch)
		return;
	lookout_stop(watch->lookout);
	free(watch);
}
