/* What the daemon knows of its own syncing; see status.h. */
#include "status.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "advice.h"
#include "base/clock.h"

_Static_assert((int)ADVICE_CAUSE_COUNT <= (int)STATUS_CAUSES, "each cause is counted");

struct status {
	pthread_mutex_t mutex;
	int64_t began_ms; /* the round, on the monotonic clock */
	struct status_snapshot now;
};

struct status *status_new(struct err *err)
{
	struct status *status = calloc(1, sizeof(*status));

	if (!status) {
		(void)err_set_sys(err, ENOMEM, "status");
		return NULL;
	}
	(void)pthread_mutex_init(&status->mutex, NULL);
	status->now.started_at = time(NULL);
	return status;
}

void status_free(struct status *status)
{
	if (!status)
		return;
	(void)pthread_mutex_destroy(&status->mutex);
	free(status);
}

void status_set_source(struct status *status, const char *source)
{
	(void)pthread_mutex_lock(&status->mutex);
	(void)snprintf(status->now.source, sizeof(status->now.source), "%s", source);
	(void)pthread_mutex_unlock(&status->mutex);
}

void status_round_began(struct status *status)
{
	(void)pthread_mutex_lock(&status->mutex);
	status->began_ms = clock_now_ms();
	status->now.is_syncing = true;
	status->now.round_began_at = time(NULL);
	status->now.next_at = 0;
	(void)pthread_mutex_unlock(&status->mutex);
}

void status_round_ended(struct status *status, enum sync_result result, bool all_well)
{
	struct status_snapshot *now = &status->now;

	(void)pthread_mutex_lock(&status->mutex);
	now->is_syncing = false;
	now->round_ended_at = time(NULL);
	now->round_ms = clock_now_ms() - status->began_ms;
	now->result = result;
	now->rounds[result]++;
	if (result == SYNC_DONE && all_well)
		now->success_at = now->round_ended_at;
	(void)pthread_mutex_unlock(&status->mutex);
}

void status_set_next(struct status *status, int64_t in_ms)
{
	(void)pthread_mutex_lock(&status->mutex);
	status->now.next_at = time(NULL) + in_ms / 1000;
	(void)pthread_mutex_unlock(&status->mutex);
}

/* The trouble with a subject, or NULL. */
static struct status_trouble *find(struct status_snapshot *now, const char *subject)
{
	for (size_t i = 0; i < now->trouble_count; i++)
		if (!strncmp(now->troubles[i].subject, subject, STATUS_SUBJECT_SIZE - 1))
			return &now->troubles[i];
	return NULL;
}

/* The same, or a new one; NULL when there is no room. */
static struct status_trouble *find_or_add(struct status_snapshot *now, const char *subject)
{
	struct status_trouble *trouble = find(now, subject);

	if (trouble)
		return trouble;
	if (now->trouble_count == STATUS_TROUBLES_MAX) {
		now->troubles_lost++;
		return NULL;
	}
	trouble = &now->troubles[now->trouble_count++];
	*trouble = (struct status_trouble){ .since = time(NULL) };
	(void)snprintf(trouble->subject, sizeof(trouble->subject), "%s", subject);
	return trouble;
}

void status_happened(struct status *status, const char *subject, bool is_tag, const char *what,
                     const struct err *err)
{
	int cause = advice_cause_of(err);
	struct status_trouble *trouble;

	(void)pthread_mutex_lock(&status->mutex);
	status->now.failures[cause]++;
	trouble = find_or_add(&status->now, subject);
	if (trouble) {
		trouble->is_tag = is_tag;
		trouble->kind = err->kind;
		trouble->cause = cause;
		trouble->last = time(NULL);
		trouble->times++;
		(void)snprintf(trouble->what, sizeof(trouble->what), "%s", what);
		(void)snprintf(trouble->error, sizeof(trouble->error), "%s", err->msg);
	}
	(void)pthread_mutex_unlock(&status->mutex);
}

void status_over(struct status *status, const char *subject)
{
	struct status_snapshot *now = &status->now;
	struct status_trouble *trouble;

	(void)pthread_mutex_lock(&status->mutex);
	trouble = find(now, subject);
	if (trouble) {
		size_t behind = (size_t)(&now->troubles[now->trouble_count] - (trouble + 1));

		memmove(trouble, trouble + 1, behind * sizeof(*trouble));
		now->trouble_count--;
	}
	(void)pthread_mutex_unlock(&status->mutex);
}

void status_read(struct status *status, struct status_snapshot *out_snapshot)
{
	(void)pthread_mutex_lock(&status->mutex);
	*out_snapshot = status->now;
	(void)pthread_mutex_unlock(&status->mutex);
}
