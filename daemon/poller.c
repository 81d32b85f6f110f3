/* When to sync; see poller.h. */
#include "poller.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "registry.h"

enum { LOOK_MS = 2000, BACK_OFF_MAX = 10 };

struct poller {
	const struct config *config;
	struct sync *sync;
	const struct cancel *cancel;
	int trigger_fd;
	pthread_t thread;
};

/* The interval, times the back-off, plus or minus the jitter. */
static int64_t pause_ms(const struct config *config, int64_t back_off)
{
	int64_t pause = config->poll_interval_ms * back_off;
	int64_t spread = pause * config->poll_jitter_percent / 100;
	uint32_t random = 0;

	/* Without randomness there is no jitter, which is no harm. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random) || spread <= 0)
		return pause;
	return pause - spread + (int64_t)(random % (uint64_t)(2 * spread + 1));
}

/* Wait until it is time, a trigger or a stop; look at the secret meanwhile. */
static void wait_for_round(struct poller *poller, int64_t until_ms, uint64_t seen)
{
	struct pollfd fds[] = { { .fd = cancel_fd(poller->cancel), .events = POLLIN },
		                { .fd = poller->trigger_fd, .events = POLLIN } };

	for (;;) {
		int64_t left = until_ms - clock_now_ms();
		uint64_t count;

		if (left <= 0 || registry_fingerprint(poller->config) != seen)
			return;
		if (poll(fds, 2, left < LOOK_MS ? (int)left : LOOK_MS) <= 0)
			continue;
		/* Triggers that came together are one. */
		if (read(poller->trigger_fd, &count, sizeof(count)) > 0 || fds[0].revents)
			return;
	}
}

static void *run(void *ctx)
{
	struct poller *poller = ctx;
	int64_t back_off = 1;

	while (!cancel_is_raised(poller->cancel)) {
		uint64_t seen = registry_fingerprint(poller->config);
		enum sync_result result = sync_round(poller->sync);

		if (result == SYNC_FAILED)
			back_off = back_off * 2 < BACK_OFF_MAX ? back_off * 2 : BACK_OFF_MAX;
		else
			back_off = 1;
		wait_for_round(poller, clock_now_ms() + pause_ms(poller->config, back_off), seen);
	}
	return NULL;
}

struct poller *poller_start(const struct config *config, struct sync *sync,
                            const struct cancel *cancel, struct err *err)
{
	struct poller *poller = calloc(1, sizeof(*poller));
	sigset_t all, before;
	int failed;

	if (!poller) {
		(void)err_set_sys(err, ENOMEM, "poller");
		return NULL;
	}
	poller->config = config;
	poller->sync = sync;
	poller->cancel = cancel;
	poller->trigger_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (poller->trigger_fd < 0) {
		(void)err_set_sys(err, errno, "eventfd");
		free(poller);
		return NULL;
	}
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&poller->thread, NULL, run, poller);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		(void)err_set_sys(err, failed, "start the sync thread");
		(void)close(poller->trigger_fd);
		free(poller);
		return NULL;
	}
	return poller;
}

void poller_trigger(struct poller *poller)
{
	uint64_t one = 1;

	/* It can only fail when triggers are waiting already. */
	if (write(poller->trigger_fd, &one, sizeof(one)) < 0)
		return;
}

void poller_join(struct poller *poller)
{
	if (!poller)
		return;
	(void)pthread_join(poller->thread, NULL);
	(void)close(poller->trigger_fd);
	free(poller);
}
