/* What the commands share that read the store. */
#ifndef SPECMAN_READING_H
#define SPECMAN_READING_H

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "config.h"
#include "storage/storage.h"

DEFINE_CLEANUP(cleanup_store, struct store, store_close);
DEFINE_CLEANUP(cleanup_view, struct store_view, store_view_put);

/* How often a command begins anew because what it reads was replaced under its feet. */
enum { READING_TRIES = 3 };

/*
 * The store of the data directory, for reading, as --verify-key lets it be served. What is left out
 * of that is told on standard error.
 */
MUST_CHECK struct store *reading_open(const struct config *config, struct err *err);

/* The view that an operand means: a tag's release, or with NULL what is served. */
MUST_CHECK struct store_view *reading_view(struct store *store, const char *tag, struct err *err);

/*
 * The entry at an operand's path; slashes at its ends don't count, and NULL is
 * the root. ERR_NOT_FOUND without one.
 */
MUST_CHECK const struct store_entry *reading_find(const struct store_view *view, const char *path,
                                                  struct err *err);

/* Say on standard error what failed; returns EXIT_FAILED. */
int reading_fail(const char *command, const struct err *err);

/*
 * Print a name from an archive, which has no control characters. A terminal gets nothing of it
 * that is no UTF-8 either: names are bytes, and to some 0x9B by itself begins a sequence.
 */
void reading_print_name(const char *name);

/* At the end: whether all that was printed has come out; returns an exit code. */
int reading_done(const char *command);

/*
 * Progress on standard error: where that is a terminal, a line that is written
 * over; else a line every ten seconds.
 */
struct progress {
	const char *verb;
	int64_t begun_ms;  /* 0: not yet */
	int64_t next_ms;   /* when the line is due again */
	uint64_t begun_at; /* how much was done then */
};

/* For the observers of storage.h; ctx is a struct progress. */
void progress_show(void *ctx, uint64_t done, uint64_t all);

/* Take the line away. */
void progress_end(const struct progress *progress);

#endif
