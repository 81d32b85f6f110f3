/* What the daemon knows of its own syncing; see status.h. */
#include "status.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "advice.h"
#include "base/clock.h"

_Static_assert((int)ADVICE_CAUSE_COUNT <= (int)STATUS_CAUSES, "each cause is counted");

struct status {
	pthread_mutex_t mutex;
	int64_t began_ms;                     /* the round, on the monotonic clock */
	uint64_t round;                       /* its number */
	uint64_t met_in[STATUS_TROUBLES_MAX]; /* the round in which each trouble was met last */
	uint64_t lost;                        /* troubles that found no place in it */
	struct status_snapshot now;
	struct oci_counters registry;
	atomic_int_least64_t synced_at;
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
	status->round++;
	status->lost = 0;
	status->now.is_syncing = true;
	status->now.round_began_at = time(NULL);
	status->now.next_at = 0;
	(void)pthread_mutex_unlock(&status->mutex);
}

void status_round_ended(struct status *status, enum sync_result result,
                        const struct sync_outcome *outcome)
{
	struct status_snapshot *now = &status->now;

	(void)pthread_mutex_lock(&status->mutex);
	now->is_syncing = false;
	now->round_ended_at = time(NULL);
	now->round_ms = clock_now_ms() - status->began_ms;
	now->result = result;
	now->rounds[result]++;
	now->troubles_lost = status->lost;
	(void)snprintf(now->reason, sizeof(now->reason), "%s", outcome->reason);
	if (result == SYNC_DONE)
		now->done_at = now->round_ended_at;
	if (result == SYNC_DONE && outcome->verdict != SYNC_VERDICT_FAILED) {
		now->success_at = now->round_ended_at;
		atomic_store(&status->synced_at, now->round_began_at);
	}
	(void)pthread_mutex_unlock(&status->mutex);
}

int64_t status_synced_at(const struct status *status)
{
	return atomic_load(&status->synced_at);
}

void status_set_next(struct status *status, int64_t in_ms)
{
	(void)pthread_mutex_lock(&status->mutex);
	status->now.next_at = time(NULL) + in_ms / 1000;
	(void)pthread_mutex_unlock(&status->mutex);
}

void status_look_at_disk(struct status *status, const char *dir)
{
	struct statvfs fs;

	/* What is known stays; that the disk fails is told by who needs it. */
	if (statvfs(dir, &fs))
		return;
	(void)pthread_mutex_lock(&status->mutex);
	status->now.disk_total = (uint64_t)fs.f_blocks * fs.f_frsize;
	status->now.disk_free = (uint64_t)fs.f_bavail * fs.f_frsize;
	status->now.inodes = fs.f_files;
	status->now.inodes_free = fs.f_favail;
	status->now.disk_at = time(NULL);
	(void)pthread_mutex_unlock(&status->mutex);
}

void status_set_quarantined(struct status *status, bool is_known, uint64_t count)
{
	(void)pthread_mutex_lock(&status->mutex);
	status->now.has_quarantined = is_known;
	status->now.quarantined = count;
	(void)pthread_mutex_unlock(&status->mutex);
}

/* ---- troubles ---- */

/* The trouble with a subject, or NULL. */
static struct status_trouble *find(struct status_snapshot *now, const char *subject, bool is_tag)
{
	for (size_t i = 0; i < now->trouble_count; i++)
		if (now->troubles[i].is_tag == is_tag &&
		    !strncmp(now->troubles[i].subject, subject, STATUS_SUBJECT_SIZE - 1))
			return &now->troubles[i];
	return NULL;
}

static bool has_room(const struct status_snapshot *now, bool is_tag)
{
	size_t tags = 0;

	for (size_t i = 0; i < now->trouble_count; i++)
		tags += now->troubles[i].is_tag;
	return now->trouble_count < STATUS_TROUBLES_MAX && (!is_tag || tags < STATUS_TAGS_MAX);
}

/* The same, or a new one; NULL when there is no room. */
static struct status_trouble *meet(struct status *status, const char *subject, bool is_tag)
{
	struct status_snapshot *now = &status->now;
	struct status_trouble *trouble = find(now, subject, is_tag);

	if (!trouble && !has_room(now, is_tag)) {
		status->lost++;
		return NULL;
	}
	if (!trouble) {
		trouble = &now->troubles[now->trouble_count++];
		*trouble = (struct status_trouble){ .is_tag = is_tag, .since = time(NULL) };
		(void)snprintf(trouble->subject, sizeof(trouble->subject), "%s", subject);
	}
	trouble->last = time(NULL);
	trouble->times++;
	status->met_in[trouble - now->troubles] = status->round;
	return trouble;
}

static void end(struct status *status, size_t index)
{
	struct status_snapshot *now = &status->now;
	size_t behind = now->trouble_count - index - 1;

	memmove(&now->troubles[index], &now->troubles[index + 1], behind * sizeof(*now->troubles));
	memmove(&status->met_in[index], &status->met_in[index + 1],
	        behind * sizeof(*status->met_in));
	now->trouble_count--;
}

static void describe(struct status_trouble *trouble, const char *what, const char *error)
{
	(void)snprintf(trouble->what, sizeof(trouble->what), "%s", what);
	(void)snprintf(trouble->error, sizeof(trouble->error), "%s", error);
}

void status_happened(struct status *status, const char *subject, bool is_tag, const char *what,
                     const struct err *err)
{
	int cause = advice_cause_of(err);
	struct status_trouble *trouble;

	(void)pthread_mutex_lock(&status->mutex);
	status->now.failures[cause]++;
	trouble = meet(status, subject, is_tag);
	if (trouble) {
		trouble->is_warning = false;
		trouble->kind = err->kind;
		trouble->cause = cause;
		describe(trouble, what, err->msg);
	}
	(void)pthread_mutex_unlock(&status->mutex);
}

void status_warned(struct status *status, const char *subject, bool is_tag, const char *what,
                   const char *reason, int cause)
{
	struct status_trouble *trouble;

	(void)pthread_mutex_lock(&status->mutex);
	trouble = meet(status, subject, is_tag);
	if (trouble) {
		trouble->is_warning = true;
		trouble->kind = ERR_NONE;
		trouble->cause = cause;
		describe(trouble, what, reason);
	}
	(void)pthread_mutex_unlock(&status->mutex);
}

void status_lost(struct status *status, const char *tag, const char *what, const char *error)
{
	struct status_trouble *trouble;

	(void)pthread_mutex_lock(&status->mutex);
	trouble = meet(status, tag, true);
	if (trouble && !*trouble->what)
		describe(trouble, what, error);
	(void)pthread_mutex_unlock(&status->mutex);
}

bool status_stays(struct status *status, const char *tag, struct err *out_err)
{
	struct status_trouble *trouble;
	bool is_known;

	(void)pthread_mutex_lock(&status->mutex);
	trouble = meet(status, tag, true);
	is_known = trouble && *trouble->what;
	if (is_known) {
		(void)err_set(out_err, trouble->kind, "%s", trouble->error);
		(void)err_cause(out_err, trouble->cause);
	} else if (trouble) {
		trouble->kind = ERR_FORMAT;
		trouble->cause = ADVICE_RELEASE_UNFIT;
		describe(trouble, "Release refused", "as at its first try, which the log tells of");
	}
	(void)pthread_mutex_unlock(&status->mutex);
	return is_known;
}

void status_over(struct status *status, const char *subject, bool is_tag)
{
	struct status_trouble *trouble;

	(void)pthread_mutex_lock(&status->mutex);
	trouble = find(&status->now, subject, is_tag);
	if (trouble)
		end(status, (size_t)(trouble - status->now.troubles));
	(void)pthread_mutex_unlock(&status->mutex);
}

void status_sweep_tags(struct status *status)
{
	(void)pthread_mutex_lock(&status->mutex);
	for (size_t i = status->now.trouble_count; i-- > 0;)
		if (status->now.troubles[i].is_tag && status->met_in[i] != status->round)
			end(status, i);
	(void)pthread_mutex_unlock(&status->mutex);
}

struct oci_counters *status_registry(struct status *status)
{
	return &status->registry;
}

void status_read(struct status *status, struct status_snapshot *out_snapshot)
{
	(void)pthread_mutex_lock(&status->mutex);
	*out_snapshot = status->now;
	(void)pthread_mutex_unlock(&status->mutex);
}
