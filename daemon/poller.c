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

#include "base/cleanup.h"
#include "base/clock.h"
#include "registry.h"
#include "storing.h"

enum {
	LOOK_MS = 2000,
	HEAL_MS = 10 * 1000, /* from a round to one for the sake of new damage */
	HINT_MS = 1000,      /* the same for the sake of a hint */
	BACK_OFF_MAX = 10,
};

struct poller {
	const struct config *config;
	struct sync *sync;
	struct store *store;
	struct status *status;
	const struct cancel *cancel;
	int trigger_fd;
	int ended_fd;
	pthread_t thread;

	pthread_mutex_t mutex; /* guards all below */
	bool is_wanted;        /* a round, before its time */
	bool is_hinted;        /* the same, but not at once */
	bool is_reloading;     /* the next round, all that it is configured by */
	uint64_t started;      /* rounds */
	uint64_t ended;
	struct sync_outcome outcome; /* of the last that ended */
	uint64_t sweeps_asked;
	uint64_t sweeps_ended;
	struct sync_outcome swept; /* of the last that ended */
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

/* Never blocks: it can only fail when the counter is full, which wakes as well. */
static void wake(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

/* All that was asked for until now is one sweep. */
static void sweep(struct poller *poller)
{
	struct sync_outcome outcome;
	uint64_t asked;
	bool is_due;

	(void)pthread_mutex_lock(&poller->mutex);
	asked = poller->sweeps_asked;
	is_due = asked != poller->sweeps_ended;
	(void)pthread_mutex_unlock(&poller->mutex);
	if (!is_due)
		return;
	sync_sweep(poller->sync, &outcome);
	(void)pthread_mutex_lock(&poller->mutex);
	poller->sweeps_ended = asked;
	poller->swept = outcome;
	(void)pthread_mutex_unlock(&poller->mutex);
	wake(poller->ended_fd);
}

/* How long a round that somebody asked for may have to wait yet; INT64_MAX: nobody did. */
static int64_t wanted_in_ms(struct poller *poller, int64_t waited_ms)
{
	int64_t wanted = INT64_MAX;

	(void)pthread_mutex_lock(&poller->mutex);
	if (poller->is_wanted)
		wanted = 0;
	else if (poller->is_hinted)
		wanted = HINT_MS - waited_ms;
	(void)pthread_mutex_unlock(&poller->mutex);
	return wanted;
}

/* What a round began with: a change of it is a reason for the next. */
struct seen {
	uint64_t fingerprint; /* of the secret */
	uint64_t damages;
};

/* Whether there is something new before it is time. */
static bool is_news(const struct poller *poller, const struct seen *seen, int64_t waited_ms)
{
	return registry_fingerprint(poller->config) != seen->fingerprint ||
	       (waited_ms >= HEAL_MS && sync_damages(poller->sync) != seen->damages);
}

/* Wait until it is time, a trigger or a stop; look for news and at the disk, and sweep, meanwhile.
 */
static void wait_for_round(struct poller *poller, int64_t pause, const struct seen *seen)
{
	struct pollfd fds[] = { { .fd = cancel_fd(poller->cancel), .events = POLLIN },
		                { .fd = poller->trigger_fd, .events = POLLIN } };
	const int64_t start_ms = clock_now_ms();

	status_set_next(poller->status, pause);
	while (!cancel_is_raised(poller->cancel)) {
		int64_t waited = clock_now_ms() - start_ms;
		int64_t wanted = wanted_in_ms(poller, waited);
		int64_t left = pause - waited;
		uint64_t count;

		storing_expire(poller->store);
		storing_look(poller->store, poller->config, poller->status);
		if (wanted < left)
			left = wanted;
		if (left <= 0 || is_news(poller, seen, waited))
			return;
		if (poll(fds, 2, left < LOOK_MS ? (int)left : LOOK_MS) <= 0)
			continue;
		if (fds[0].revents)
			return;
		/* Triggers that came together are one. */
		if (read(poller->trigger_fd, &count, sizeof(count)) < 0)
			continue;
		sweep(poller);
	}
}

static enum sync_result go_round(struct poller *poller)
{
	enum sync_result result;
	bool is_reloading;

	(void)pthread_mutex_lock(&poller->mutex);
	poller->started++;
	poller->is_wanted = false;
	poller->is_hinted = false;
	is_reloading = poller->is_reloading;
	poller->is_reloading = false;
	(void)pthread_mutex_unlock(&poller->mutex);
	if (is_reloading)
		sync_reload(poller->sync);
	status_round_began(poller->status);
	result = sync_round(poller->sync);
	status_round_ended(poller->status, result, sync_outcome(poller->sync));
	(void)pthread_mutex_lock(&poller->mutex);
	poller->ended = poller->started;
	poller->outcome = *sync_outcome(poller->sync);
	(void)pthread_mutex_unlock(&poller->mutex);
	wake(poller->ended_fd);
	return result;
}

static void *run(void *ctx)
{
	struct poller *poller = ctx;
	int64_t back_off = 1;

	(void)pthread_setname_np(pthread_self(), "sync"); /* for ps and top */
	while (!cancel_is_final(poller->cancel)) {
		const struct seen seen = { registry_fingerprint(poller->config),
			                   sync_damages(poller->sync) };
		enum sync_result result = go_round(poller);

		if (result == SYNC_FAILED)
			back_off = back_off * 2 < BACK_OFF_MAX ? back_off * 2 : BACK_OFF_MAX;
		else
			back_off = 1;
		wait_for_round(poller, pause_ms(poller->config, back_off), &seen);
	}
	return NULL;
}

static void poller_free(struct poller *poller)
{
	cleanup_fd(&poller->trigger_fd);
	cleanup_fd(&poller->ended_fd);
	(void)pthread_mutex_destroy(&poller->mutex);
	free(poller);
}

static int start_thread(struct poller *poller, struct err *err)
{
	sigset_t all, before;
	int failed;

	if (poller->trigger_fd < 0 || poller->ended_fd < 0)
		return err_set_sys(err, errno, "eventfd");
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&poller->thread, NULL, run, poller);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed ? err_set_sys(err, failed, "start the sync thread") : 0;
}

struct poller *poller_start(const struct config *config, struct sync *sync, struct store *store,
                            struct status *status, const struct cancel *cancel, struct err *err)
{
	struct poller *poller = calloc(1, sizeof(*poller));

	if (!poller) {
		(void)err_set_sys(err, ENOMEM, "poller");
		return NULL;
	}
	poller->config = config;
	poller->sync = sync;
	poller->store = store;
	poller->status = status;
	poller->cancel = cancel;
	(void)pthread_mutex_init(&poller->mutex, NULL);
	poller->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	poller->trigger_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (start_thread(poller, err)) {
		poller_free(poller);
		return NULL;
	}
	return poller;
}

void poller_trigger(struct poller *poller)
{
	(void)pthread_mutex_lock(&poller->mutex);
	poller->is_wanted = true;
	(void)pthread_mutex_unlock(&poller->mutex);
	wake(poller->trigger_fd);
}

void poller_reload(struct poller *poller)
{
	(void)pthread_mutex_lock(&poller->mutex);
	poller->is_reloading = true;
	(void)pthread_mutex_unlock(&poller->mutex);
	poller_trigger(poller);
}

bool poller_hint(struct poller *poller)
{
	bool is_first;

	(void)pthread_mutex_lock(&poller->mutex);
	is_first = !poller->is_hinted && !poller->is_wanted;
	poller->is_hinted = true;
	(void)pthread_mutex_unlock(&poller->mutex);
	wake(poller->trigger_fd);
	return is_first;
}

uint64_t poller_ask(struct poller *poller)
{
	uint64_t round;

	(void)pthread_mutex_lock(&poller->mutex);
	round = poller->started + 1;
	(void)pthread_mutex_unlock(&poller->mutex);
	poller_trigger(poller);
	return round;
}

/* Whether the last of a kind has this number or a later one; *outcome is its. */
static bool has_ended(struct poller *poller, const uint64_t *ended,
                      const struct sync_outcome *outcome, uint64_t number,
                      struct sync_outcome *out_outcome)
{
	bool has;

	(void)pthread_mutex_lock(&poller->mutex);
	has = *ended >= number;
	if (has)
		*out_outcome = *outcome;
	(void)pthread_mutex_unlock(&poller->mutex);
	return has;
}

bool poller_has_ended(struct poller *poller, uint64_t round, struct sync_outcome *out_outcome)
{
	return has_ended(poller, &poller->ended, &poller->outcome, round, out_outcome);
}

uint64_t poller_ask_sweep(struct poller *poller)
{
	uint64_t number;

	(void)pthread_mutex_lock(&poller->mutex);
	number = ++poller->sweeps_asked;
	(void)pthread_mutex_unlock(&poller->mutex);
	wake(poller->trigger_fd);
	return number;
}

bool poller_has_swept(struct poller *poller, uint64_t number, struct sync_outcome *out_outcome)
{
	return has_ended(poller, &poller->sweeps_ended, &poller->swept, number, out_outcome);
}

int poller_ended_fd(const struct poller *poller)
{
	return poller->ended_fd;
}

void poller_join(struct poller *poller)
{
	if (!poller)
		return;
	(void)pthread_join(poller->thread, NULL);
	poller_free(poller);
}
