/* Work on a thread of its own; see offload.h. */
#include "offload.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct offload {
	pthread_t thread;
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t changed;
	struct offload_job *first, **end;
	unsigned waiting, most;
	bool stopping;

	void (*tick)(void *ctx);
	void *ctx;
};

/* The next job, or NULL when a tick is due; *out_ended when there is none and none will come. */
static struct offload_job *next(struct offload *offload, bool *out_ended)
{
	struct offload_job *job;
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	(void)pthread_mutex_lock(&offload->mutex);
	while (!offload->first && !offload->stopping) {
		if (!offload->tick)
			(void)pthread_cond_wait(&offload->changed, &offload->mutex);
		else if (pthread_cond_timedwait(&offload->changed, &offload->mutex, &until))
			break;
	}
	job = offload->first;
	if (job) {
		offload->first = job->next;
		offload->waiting--;
		if (!offload->first)
			offload->end = &offload->first;
	}
	*out_ended = !job && offload->stopping;
	(void)pthread_mutex_unlock(&offload->mutex);
	return job;
}

static void *run(void *ctx)
{
	struct offload *offload = ctx;
	bool ended = false;

	while (!ended) {
		struct offload_job *job = next(offload, &ended);

		if (offload->tick && !ended)
			offload->tick(offload->ctx);
		if (job)
			job->work(job);
	}
	return NULL;
}

static int start(struct offload *offload)
{
	sigset_t all, before;
	int failed;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&offload->thread, NULL, run, offload);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed;
}

struct offload *offload_new(unsigned most, void (*tick)(void *ctx), void *ctx, struct err *err)
{
	struct offload *offload = calloc(1, sizeof(*offload));
	pthread_condattr_t monotonic;
	int failed;

	if (!offload) {
		(void)err_set_sys(err, ENOMEM, "helper thread");
		return NULL;
	}
	offload->end = &offload->first;
	offload->most = most;
	offload->tick = tick;
	offload->ctx = ctx;
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&offload->changed, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	(void)pthread_mutex_init(&offload->mutex, NULL);
	failed = start(offload);
	if (failed) {
		(void)pthread_cond_destroy(&offload->changed);
		(void)pthread_mutex_destroy(&offload->mutex);
		free(offload);
		(void)err_set_sys(err, failed, "start a helper thread");
		return NULL;
	}
	return offload;
}

bool offload_add(struct offload *offload, struct offload_job *job)
{
	bool is_taken;

	(void)pthread_mutex_lock(&offload->mutex);
	is_taken = offload->waiting < offload->most;
	if (is_taken) {
		job->next = NULL;
		*offload->end = job;
		offload->end = &job->next;
		offload->waiting++;
		(void)pthread_cond_signal(&offload->changed);
	}
	(void)pthread_mutex_unlock(&offload->mutex);
	return is_taken;
}

void offload_free(struct offload *offload)
{
	if (!offload)
		return;
	(void)pthread_mutex_lock(&offload->mutex);
	offload->stopping = true;
	(void)pthread_cond_signal(&offload->changed);
	(void)pthread_mutex_unlock(&offload->mutex);
	(void)pthread_join(offload->thread, NULL);
	(void)pthread_cond_destroy(&offload->changed);
	(void)pthread_mutex_destroy(&offload->mutex);
	free(offload);
}
