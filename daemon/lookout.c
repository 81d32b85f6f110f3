/* Looking about once a second; see lookout.h. */
#include "lookout.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum { LOOK_SECONDS = 1 };

struct lookout {
	void (*look)(void *ctx, bool at_once);
	void *ctx;
	pthread_t thread;
	pthread_mutex_t mutex; /* guards the two below */
	pthread_cond_t wake;
	bool at_once;
	bool is_ending;
};

/* Whether the next look is due; false at the end. */
static bool wait_for_look(struct lookout *lookout, bool *at_once)
{
	struct timespec until;
	bool goes_on;
	int waited = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LOOK_SECONDS;
	(void)pthread_mutex_lock(&lookout->mutex);
	while (!lookout->is_ending && !lookout->at_once && !waited)
		waited = pthread_cond_timedwait(&lookout->wake, &lookout->mutex, &until);
	goes_on = !lookout->is_ending;
	*at_once = lookout->at_once;
	lookout->at_once = false;
	(void)pthread_mutex_unlock(&lookout->mutex);
	return goes_on;
}

static void *work(void *ctx)
{
	struct lookout *lookout = ctx;
	bool at_once = false;

	do
		lookout->look(lookout->ctx, at_once);
	while (wait_for_look(lookout, &at_once));
	return NULL;
}

static void lookout_free(struct lookout *lookout)
{
	(void)pthread_cond_destroy(&lookout->wake);
	(void)pthread_mutex_destroy(&lookout->mutex);
	free(lookout);
}

/* Signals are the main thread's. */
static int start_thread(struct lookout *lookout)
{
	sigset_t all, before;
	int failed;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&lookout->thread, NULL, work, lookout);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed;
}

struct lookout *lookout_start(void (*look)(void *ctx, bool at_once), void *ctx, const char *what,
                              struct err *err)
{
	struct lookout *lookout = calloc(1, sizeof(*lookout));
	pthread_condattr_t monotonic;
	int failed;

	if (!lookout) {
		(void)err_set_sys(err, ENOMEM, "watch %s", what);
		return NULL;
	}
	lookout->look = look;
	lookout->ctx = ctx;
	(void)pthread_mutex_init(&lookout->mutex, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&lookout->wake, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	failed = start_thread(lookout);
	if (!failed)
		return lookout;
	lookout_free(lookout);
	(void)err_set_sys(err, failed, "start the thread that watches %s", what);
	return NULL;
}

static void wake(struct lookout *lookout, bool *flag)
{
	(void)pthread_mutex_lock(&lookout->mutex);
	*flag = true;
	(void)pthread_cond_signal(&lookout->wake);
	(void)pthread_mutex_unlock(&lookout->mutex);
}

void lookout_trigger(struct lookout *lookout)
{
	wake(lookout, &lookout->at_once);
}

void lookout_stop(struct lookout *lookout)
{
	if (!lookout)
		return;
	wake(lookout, &lookout->is_ending);
	(void)pthread_join(lookout->thread, NULL);
	lookout_free(lookout);
}
