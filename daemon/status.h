/*
 * What the daemon knows of its own syncing: the last round and the next, what
 * goes wrong and since when. Written by the sync thread, read by any thread, for
 * readiness, metrics and the status page. Times are seconds since 1970; 0: never.
 */
#ifndef SPECMAN_STATUS_H
#define SPECMAN_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sync.h"

enum {
	STATUS_TROUBLES_MAX = 32,
	STATUS_SUBJECT_SIZE = 136,
	STATUS_SOURCE_SIZE = 600,
	STATUS_RESULTS = SYNC_CANCELLED + 1,
	STATUS_CAUSES = 128, /* more than advice.h has */
};

/* Something that goes wrong, until it is over. */
struct status_trouble {
	char subject[STATUS_SUBJECT_SIZE]; /* the tag, or what else it is about */
	bool is_tag;
	char what[64]; /* as the log says: "Release refused", "Sync failed", … */
	char error[512];
	enum err_kind kind;
	int cause; /* for advice_find, or 0 */
	int64_t since;
	int64_t last;
	uint64_t times;
};

struct status_snapshot {
	int64_t started_at;              /* the daemon */
	char source[STATUS_SOURCE_SIZE]; /* the repository that is polled; "": none is named yet */
	bool is_syncing;                 /* a round is under way */
	int64_t round_began_at;          /* the last one, or that under way */
	int64_t round_ended_at;          /* the last that ended */
	int64_t round_ms;                /* how long that took */
	enum sync_result result;         /* what it came to; of no meaning before the first */
	int64_t success_at; /* when the last one ended that was SYNC_DONE, all tags well */
	int64_t next_at;    /* when the next one is due; 0 while one is under way */
	uint64_t rounds[STATUS_RESULTS];  /* how many came to what */
	uint64_t failures[STATUS_CAUSES]; /* how often by cause (advice.h); [0]: none is known */
	size_t trouble_count;
	struct status_trouble troubles[STATUS_TROUBLES_MAX]; /* the oldest first */
	uint64_t troubles_lost;                              /* that found no place */
};

struct status;

MUST_CHECK struct status *status_new(struct err *err);
void status_free(struct status *status);

/* The sync thread: where the round's releases are from, a round, and when the next is due. */
void status_set_source(struct status *status, const char *source);
void status_round_began(struct status *status);
void status_round_ended(struct status *status, enum sync_result result, bool all_well);
void status_set_next(struct status *status, int64_t in_ms);

/* Something went wrong (again), or is over. Any thread. */
void status_happened(struct status *status, const char *subject, bool is_tag, const char *what,
                     const struct err *err);
void status_over(struct status *status, const char *subject);

/* A copy of all of it. Any thread. */
void status_read(struct status *status, struct status_snapshot *out_snapshot);

#endif
