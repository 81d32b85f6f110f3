/*
 * How the daemon is, at one moment: all that readiness, the status page and its
 * JSON say, gathered once and judged. Reads memory alone, never the disk or the
 * network, and holds no lock while it is used.
 */
#ifndef SPECMAN_OVERVIEW_H
#define SPECMAN_OVERVIEW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "config.h"
#include "status.h"
#include "storage/storage.h"
#include "tls/tls.h"

enum {
	OVERVIEW_LIVE_MS = 30 * 1000, /* a worker goes round within a second */
	/*
	 * The sync thread looks at its stop flag every second or so, waiting for a
	 * registry, too; but one call of the disk (syncfs after a large release, a
	 * sweep of a million objects) may keep it for minutes.
	 */
	OVERVIEW_SYNC_LIVE_MS = 30 * 60 * 1000,
	OVERVIEW_NEEDS_MAX = STATUS_TROUBLES_MAX + 8,
};

struct overviews;

/* All are borrowed for its life. */
struct overview_sources {
	const struct config *config;
	struct store *store;
	struct status *status;
	const struct tls_server *server;
	const struct cancel *sync_cancel; /* that of the sync thread alone */
	const atomic_bool *stopping;
};

MUST_CHECK struct overviews *overviews_new(const struct overview_sources *sources, struct err *err);
void overviews_free(struct overviews *overviews);

enum overview_state {
	OVERVIEW_HEALTHY,
	OVERVIEW_ATTENTION, /* something is served, and somebody should do something */
	OVERVIEW_WAITING,   /* nothing is, until a registry is named */
	OVERVIEW_STARTING,  /* nothing is yet, and a round is under way */
	OVERVIEW_NOTHING,   /* nothing is served */
	OVERVIEW_STOPPING,
};

/* "healthy", "attention", … */
const char *overview_state_name(enum overview_state state);

/* Something that somebody should do something about. */
struct overview_need {
	bool is_error; /* else a warning */
	bool is_tag;
	char subject[STATUS_SUBJECT_SIZE];
	char what[64];
	char why[SYNC_REASON_SIZE];
	int cause;     /* for advice_find, or 0 */
	int64_t since; /* 0: not known */
	int64_t last;
	uint64_t times;
};

struct overview {
	int64_t now;
	enum overview_state state;
	char sentence[300]; /* in short; begins with a capital, ends without a full stop */
	struct status_snapshot status;
	struct store_view *view;    /* held */
	struct store_share *shares; /* of its releases */
	struct store_share served;  /* of all together */
	uint64_t bytes_newest;      /* of the release on top */
	struct store_counters store;
	uint64_t disk_reserve;
	uint64_t disk_room; /* for releases: what is free without the reserve */
	bool is_disk_low, is_disk_full;
	int64_t cert_not_after;
	bool is_cert_self_made;
	int64_t sync_turned_ms; /* how long ago the sync thread went round */
	size_t need_count;
	struct overview_need needs[OVERVIEW_NEEDS_MAX]; /* errors first */
};

/* Any thread. overview_free puts the view. */
MUST_CHECK struct overview *overview_new(struct overviews *overviews, struct err *err);
void overview_free(struct overview *overview);

/* The same judgements alone, for probes: cheaper. Any thread. */
bool overviews_is_stopping(const struct overviews *overviews);
bool overviews_workers_turn(const struct overviews *overviews);
bool overviews_sync_turns(const struct overviews *overviews);
size_t overviews_releases(const struct overviews *overviews);

/* "1 release", "3 releases" */
const char *overview_count(char text[static 48], uint64_t count, const char *one, const char *many);

/* A span in words: "20 seconds", "3 hours", "12 days". */
const char *overview_span(char text[static 48], int64_t seconds);

/* "20 seconds ago", "just now"; "in 3 hours" for what is to come. */
const char *overview_when(char text[static 64], int64_t now, int64_t at);

/* RFC 3339, or "" for 0. */
const char *overview_time(char text[static 32], int64_t at);

#endif
