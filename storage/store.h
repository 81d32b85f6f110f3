/*
 * The store's inside, for its own files: store.c (open, publish, collect),
 * overlay.c (the view), damage.c (what was found wrong), download.c, content.c.
 */
#ifndef SPECMAN_STORAGE_STORE_H
#define SPECMAN_STORAGE_STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "digest_set.h"
#include "layout.h"
#include "storage.h"

struct store {
	struct layout layout;
	struct store_limits limits;
	store_observer *observer;
	void *observer_ctx;
	/* The writer's own: */
	bool has_broken_release;
	bool is_stale;      /* a release was committed that the view does not show yet */
	bool is_unsettled;  /* a change of releases/ may be undone by a power loss */
	bool has_lost_sync; /* a syncfs failed in this process' life: see object.h */

	pthread_mutex_t mutex; /* guards all below */
	struct store_view *current;
	struct store_view *views;   /* every view that somebody holds */
	struct digest_set damaged;  /* objects found missing or wrong */
	struct digest_set verified; /* large objects hashed by this process */
};

enum { DOWNLOAD_NAME_SIZE = sizeof(LAYOUT_DOWNLOAD) + DIGEST_TEXT_SIZE };

struct store_download {
	struct store *store;
	int fd;
	uint64_t size;     /* bytes in it */
	uint64_t unlooked; /* written since the room was looked at */
	bool is_done;      /* nothing of it is to be gone on with: it goes when it is freed */
	char name[DOWNLOAD_NAME_SIZE];
};

/* download.c: remove those that nobody has gone on with for a week. */
void download_sweep_stale(const struct store *store);

/* Tell the observer, if there is one. */
void store_tell(struct store *store, enum store_event_kind kind, const char *subject,
                const char *detail);

/* overlay.c: build a view of what is committed and swap it in. The writer alone. */
MUST_CHECK int overlay_publish(struct store *store, struct err *err);

/*
 * damage.c: the objects that were found missing or wrong, since this process
 * began. Any thread. note tells the observer; forget is for an object that has
 * been written anew.
 */
void damage_note(struct store *store, const struct digest *digest, const char *path,
                 const char *why);
bool damage_is_known(struct store *store, const struct digest *digest);
bool damage_is_any(struct store *store);
void damage_forget(struct store *store, const struct digest *digest);

#endif
