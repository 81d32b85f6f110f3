/* When to scrub; see scrubber.h. */
#include "scrubber.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/ioprio.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "log.h"

enum {
	LOOK_MS = 500,            /* whether a request waits for something is looked at so often */
	BYTES_PER_MS = 64 * 1024, /* at the most, however short the interval is */
	FAILED_MS = 10 * 1000,    /* the pause after a step that failed */
	LOWEST = 19,
	MILLION = 1000000,
};

struct scrubber {
	const struct config *config;
	struct store *store;
	const struct cancel *cancel;
	struct recurring *troubles;
	struct status *status;
	struct store_scrub *scrub;
	pthread_t thread;
	int64_t began_ms; /* when the pass under way would have begun if it had never been broken
	                     off */
	bool has_begun;
	bool has_failed; /* a step of the pass under way */
};

static const char subject[] = "scrub";

/* Behind everything else, for CPU and disk. Where that is not allowed, the pace has to do. */
static void step_back(void)
{
	const long thread = syscall(SYS_gettid);

	if (setpriority(PRIO_PROCESS, (id_t)thread, LOWEST) ||
	    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, thread,
	            IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)))
		log_line(LOG_DEBUG, "Scrubbing has no priority of its own", NULL);
}

/* A counter as text. */
struct number {
	char text[24];
};

static const char *format(struct number *number, uint64_t value)
{
	(void)snprintf(number->text, sizeof(number->text), "%" PRIu64, value);
	return number->text;
}

static void tell_pass(struct store *store)
{
	struct store_counters c;
	struct number n[9];

	store_count(store, &c);
	log_line(LOG_INFO, "The store was read and checked",
	         (struct log_field[]){ { "objects", format(&n[0], c.objects) },
	                               { "damaged", format(&n[1], c.damaged) },
	                               { "damaged_total", format(&n[2], c.damaged_total) },
	                               { "healed_total", format(&n[3], c.healed_total) },
	                               { NULL, NULL } });
	log_line(LOG_DEBUG, "Cache",
	         (struct log_field[]){ { "bytes", format(&n[4], c.cache_bytes) },
	                               { "hits", format(&n[5], c.cache_hits) },
	                               { "misses", format(&n[6], c.cache_misses) },
	                               { "evictions", format(&n[7], c.cache_evictions) },
	                               { NULL, NULL } });
}

static int64_t pause_ms(struct scrubber *scrubber, const struct store_scrub_progress *progress)
{
	int64_t interval = scrubber->config->scrub_interval_ms;
	int64_t least = (int64_t)(progress->bytes / BYTES_PER_MS);
	int64_t now = clock_now_ms();
	int64_t done = (int64_t)((double)interval * progress->ppm / MILLION);
	int64_t due;

	if (progress->is_urgent)
		return least;
	if (!interval)
		return INT64_MAX;
	if (!scrubber->has_begun)
		scrubber->began_ms = now - done;
	scrubber->has_begun = true;
	if (progress->has_ended) {
		due = scrubber->began_ms + interval - now;
		scrubber->began_ms = due > 0 ? now + due : now;
	} else {
		due = scrubber->began_ms + done - now;
	}
	return due > least ? due : least;
}

/* Sleep, unless a request waits for something. */
static void wait_for_step(struct scrubber *scrubber, int64_t ms)
{
	struct pollfd stop = { .fd = cancel_fd(scrubber->cancel), .events = POLLIN };
	int64_t start = clock_now_ms();

	for (;;) {
		int64_t left = ms - (clock_now_ms() - start);

		if (left <= 0 || store_scrub_is_wanted(scrubber->store) ||
		    poll(&stop, 1, left < LOOK_MS ? (int)left : LOOK_MS) > 0)
			return;
	}
}

static void tell_failed(struct scrubber *scrubber, const struct err *err)
{
	static const char msg[] = "Part of the store can't be checked";

	scrubber->has_failed = true;
	status_happened(scrubber->status, subject, false, msg, err);
	if (recurring_happened(scrubber->troubles, err->msg, msg, clock_now_ms()))
		log_line(LOG_ERROR, msg,
		         (struct log_field[]){ { "error", err->msg }, { NULL, NULL } });
}

static void end_pass(struct scrubber *scrubber)
{
	tell_pass(scrubber->store);
	if (!scrubber->has_failed)
		status_over(scrubber->status, subject, false);
	scrubber->has_failed = false;
}

static void *run(void *ctx)
{
	struct scrubber *scrubber = ctx;

	step_back();
	while (!cancel_is_raised(scrubber->cancel)) {
		struct store_scrub_progress progress;
		struct err err;
		int64_t pause;

		if (store_scrub_step(scrubber->scrub, !scrubber->config->scrub_interval_ms,
		                     &progress, &err)) {
			tell_failed(scrubber, &err);
			pause = FAILED_MS;
		} else {
			pause = pause_ms(scrubber, &progress);
		}
		if (progress.has_ended)
			end_pass(scrubber);
		wait_for_step(scrubber, pause);
	}
	return NULL;
}

struct scrubber *scrubber_start(const struct config *config, struct store *store,
                                struct recurring *troubles, struct status *status,
                                const struct cancel *cancel, struct err *err)
{
	struct scrubber *scrubber = calloc(1, sizeof(*scrubber));
	sigset_t all, before;
	int failed;

	if (!scrubber) {
		(void)err_set_sys(err, ENOMEM, "scrubber");
		return NULL;
	}
	*scrubber = (struct scrubber){ .config = config,
		                       .store = store,
		                       .troubles = troubles,
		                       .status = status,
		                       .cancel = cancel };
	scrubber->scrub = store_scrub_new(store, err);
	if (!scrubber->scrub) {
		free(scrubber);
		return NULL;
	}
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&scrubber->thread, NULL, run, scrubber);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		(void)err_set_sys(err, failed, "start the scrub thread");
		store_scrub_free(scrubber->scrub);
		free(scrubber);
		return NULL;
	}
	return scrubber;
}

void scrubber_join(struct scrubber *scrubber)
{
	if (!scrubber)
		return;
	(void)pthread_join(scrubber->thread, NULL);
	store_scrub_free(scrubber->scrub);
	free(scrubber);
}
