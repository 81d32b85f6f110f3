/* New keys at run time; see signers_watch.h. */
#include "signers_watch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "log.h"

enum { LOOK_SECONDS = 1 };

struct signers_watch {
	struct signers_watch_settings with;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool at_once;
	bool is_ending;
	/* The thread's own: */
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

static void look(struct signers_watch *watch, bool at_once)
{
	uint64_t now = signers_fingerprint(&watch->with.config->verify_key);
	bool rests = now == watch->last;

	watch->last = now;
	if (!at_once && (now == watch->seen || !rests))
		return;
	watch->seen = now;
	take(watch);
}

/* Whether the next look is due; false at the end. */
static bool wait_for_look(struct signers_watch *watch, bool *at_once)
{
	struct timespec until;
	bool goes_on;
	int waited = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LOOK_SECONDS;
	(void)pthread_mutex_lock(&watch->mutex);
	while (!watch->is_ending && !watch->at_once && !waited)
		waited = pthread_cond_timedwait(&watch->wake, &watch->mutex, &until);
	goes_on = !watch->is_ending;
	*at_once = watch->at_once;
	watch->at_once = false;
	(void)pthread_mutex_unlock(&watch->mutex);
	return goes_on;
}

static void *work(void *ctx)
{
	struct signers_watch *watch = ctx;
	bool at_once = false;

	do
		look(watch, at_once);
	while (wait_for_look(watch, &at_once));
	return NULL;
}

static void watch_free(struct signers_watch *watch)
{
	(void)pthread_cond_destroy(&watch->wake);
	(void)pthread_mutex_destroy(&watch->mutex);
	free(watch);
}

static int start_thread(struct signers_watch *watch, struct err *err)
{
	pthread_condattr_t monotonic;
	sigset_t all, before;
	int failed;

	(void)pthread_mutex_init(&watch->mutex, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&watch->wake, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&watch->thread, NULL, work, watch);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed ? err_set_sys(err, failed, "start the thread that watches the trusted keys")
	              : 0;
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
	if (start_thread(watch, err)) {
		watch_free(watch);
		return NULL;
	}
	return watch;
}

void signers_watch_trigger(struct signers_watch *watch)
{
	if (!watch)
		return;
	(void)pthread_mutex_lock(&watch->mutex);
	watch->at_once = true;
	(void)pthread_cond_signal(&watch->wake);
	(void)pthread_mutex_unlock(&watch->mutex);
}

void signers_watch_stop(struct signers_watch *watch)
{
	if (!watch)
		return;
	(void)pthread_mutex_lock(&watch->mutex);
	watch->is_ending = true;
	(void)pthread_cond_signal(&watch->wake);
	(void)pthread_mutex_unlock(&watch->mutex);
	(void)pthread_join(watch->thread, NULL);
	watch_free(watch);
}
