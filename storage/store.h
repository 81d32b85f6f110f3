/*
 * The store's inside, for its own files: store.c (open, publish, collect),
 * overlay.c (the view), release_view.c (single releases), damage.c (what was found wrong),
 * download.c, content.c, scrub.c.
 */
#ifndef SPECMAN_STORAGE_STORE_H
#define SPECMAN_STORAGE_STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "cache.h"
#include "digest_set.h"
#include "layout.h"
#include "storage.h"
#include "tree.h"

enum { STORE_WANTED_MAX = 16, STORE_RELEASE_VIEWS_MAX = 8 };

/* A large object whose list of hashes is to be made. */
struct store_wanted {
	struct digest object;
	uint64_t size;
};

struct store {
	struct layout layout;
	struct store_limits limits;
	store_observer *observer;
	void *observer_ctx;
	struct cache *cache;
	/* Held while objects are swept, and while scrubbing finds out which are missing. */
	pthread_mutex_t sweeping;
	/* The writer's own: */
	bool has_broken_release;
	bool is_stale;      /* a release was committed that the view does not show yet */
	bool is_unsettled;  /* a change of releases/ may be undone by a power loss */
	bool has_lost_sync; /* a syncfs failed in this process' life: see object.h */

	pthread_mutex_t mutex; /* guards all below */
	struct store_view *current;
	struct store_view *views; /* every view that somebody holds */
	/* Of single releases, the last one used first; NULL behind the last. */
	struct store_view *release_views[STORE_RELEASE_VIEWS_MAX];
	struct digest_set damaged; /* objects found missing or wrong */
	struct store_wanted wanted[STORE_WANTED_MAX];
	size_t wanted_count;
	uint64_t damaged_total;
	uint64_t healed_total;
	uint64_t objects;
	uint64_t scrub_objects;
	uint64_t scrub_bytes;
	uint64_t scrub_passes;
	int64_t scrub_passed_at;
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

/* The server's own name space, `.specman`: not an archive's to fill. */
bool overlay_is_reserved(const char *path);

/*
 * Make a view of a tree, which is known to the store until its last reference
 * is put. Takes the heap array releases over on success.
 */
MUST_CHECK struct store_view *overlay_make(struct store *store, const struct tree *tree,
                                           struct store_release *releases, size_t count,
                                           struct err *err);

/* release_view.c: drop the views of releases that the current view does not have. */
void release_views_prune(struct store *store);

/* release_view.c: drop them all. */
void release_views_clear(struct store *store);

/*
 * damage.c: the objects that were found missing or wrong, since this process
 * began. Any thread. Each is noted, and told to the observer, once until it is
 * healed.
 */
void damage_note(struct store *store, const struct digest *digest, const char *path,
                 const char *why);
bool damage_is_known(struct store *store, const struct digest *digest);
bool damage_is_any(struct store *store);

/*
 * An object could not be opened or read for this reason. When that is its own
 * fault, put it aside, note it, and make it ERR_DIGEST. fd: what was read, or
 * -1. Always -1.
 */
int damage_judge(struct store *store, const struct digest *digest, int fd, const char *path,
                 struct err *err);

/* Look whether an object is there and has its size; note it when not. */
void damage_look(struct store *store, const struct digest *digest, uint64_t size, const char *path);

/* An object is in its place and whole. Tells the observer if it was damaged. */
void damage_healed(struct store *store, const struct digest *digest, const char *how);

/* Forget what is damaged and not in marked, also in quarantine/. */
MUST_CHECK int damage_sweep(struct store *store, const struct digest_set *marked, struct err *err);

/* scrub.c: have a list of hashes made. Beyond STORE_WANTED_MAX, the next request asks again. */
void store_want_hashes(struct store *store, const struct digest *object, uint64_t size);

#endif
