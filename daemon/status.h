/*
 * What the daemon knows of its own syncing: the last round and the next, what
 * goes wrong and since when. Written by the sync thread and by others that find
 * trouble, read by any thread, for readiness, metrics and the status page. Times
 * are seconds since 1970; 0: never.
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
	STATUS_TAGS_MAX = 24, /* of them: the others always find a place */
	STATUS_SUBJECT_SIZE = 136,
	STATUS_SOURCE_SIZE = 600,
	STATUS_RESULTS = SYNC_CANCELLED + 1,
	STATUS_CAUSES = 128, /* more than advice.h has */
};

/* Something that goes wrong, until it is over. One a subject. */
struct status_trouble {
	char subject[STATUS_SUBJECT_SIZE]; /* the tag, or what else it is about */
	bool is_tag;
	bool is_warning; /* nothing failed, but somebody should know */
	char what[64];   /* as the log says: "Release refused", "Sync failed", … */
	char error[512];
	enum err_kind kind;
	int cause; /* for advice_find, or 0 */
	int64_t since;
	int64_t last; /* time that it was met */
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
	int64_t done_at;    /* the same whatever became of single tags: the registry answers */
	int64_t next_at;    /* when the next one is due; 0 while one is under way */
	uint64_t rounds[STATUS_RESULTS];  /* how many came to what */
	uint64_t failures[STATUS_CAUSES]; /* how often by cause (advice.h); [0]: none is known */
	size_t trouble_count;
	struct status_trouble troubles[STATUS_TROUBLES_MAX]; /* the oldest first */
	uint64_t troubles_lost;        /* tags of the last round whose trouble found no place */
	char reason[SYNC_REASON_SIZE]; /* the first trouble of the last round, or why it waits */
	/* The data directory's file system, when it was last looked at: */
	uint64_t disk_total;
	uint64_t disk_free; /* for this user */
	uint64_t inodes;    /* 0: it has no fixed number */
	uint64_t inodes_free;
	int64_t disk_at;
	bool has_quarantined; /* it could be counted: */
	uint64_t quarantined; /* files in quarantine/ */
};

struct status;
struct oci_counters;

MUST_CHECK struct status *status_new(struct err *err);
void status_free(struct status *status);

/* The sync thread: where the round's releases are from, a round, and when the next is due. */
void status_set_source(struct status *status, const char *source);
void status_round_began(struct status *status);
void status_round_ended(struct status *status, enum sync_result result,
                        const struct sync_outcome *outcome);
void status_set_next(struct status *status, int64_t in_ms);

/*
 * When the last round began that was a success (see success_at): the store had all
 * that the registry had then. Any thread, without waiting.
 */
int64_t status_synced_at(const struct status *status);

/* The sync thread: look at the data directory's file system. */
void status_look_at_disk(struct status *status, const char *dir);

/* The sync thread: how many files lie in quarantine/, or that they can't be counted. */
void status_set_quarantined(struct status *status, bool is_known, uint64_t count);

/* Something went wrong (again), or is over. Any thread. */
void status_happened(struct status *status, const char *subject, bool is_tag, const char *what,
                     const struct err *err);
void status_over(struct status *status, const char *subject, bool is_tag);

/* The same of what is no failure; cause as in status_trouble. Any thread. */
void status_warned(struct status *status, const char *subject, bool is_tag, const char *what,
                   const char *reason, int cause);

/* The sync thread: a refused tag's trouble is as it was; false when it is not known what it was. */
bool status_stays(struct status *status, const char *tag, struct err *out_err);

/* The same of a release that can't be had any more; what and error count when nothing else is
 * known. */
void status_lost(struct status *status, const char *tag, const char *what, const char *error);

/* The sync thread: tags that the round under way, which got through, met no trouble with are well.
 */
void status_sweep_tags(struct status *status);

/* What is asked of registries is counted here, whatever client asks; it lives as long as status. */
struct oci_counters *status_registry(struct status *status);

/* A copy of all of it. Any thread. */
void status_read(struct status *status, struct status_snapshot *out_snapshot);

#endif
