/*
 * The store's inside, for its own files: store.c (open, publish, collect),
 * overlay.c (the view), release_view.c (single releases), lease.c (replaced views), proof.c,
 * known.c (what the releases say of themselves), history.c, damage.c (what was found wrong),
 * collect.c, download.c, content.c,
 * scrub.c.
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

/* A release whose file was read to its end. */
struct known {
	struct store_release info;
	uint64_t fingerprint; /* of its file then */
	bool is_doubtful;     /* it is to be read again, though the fingerprint is the same */
};

enum {
	STORE_WANTED_MAX = 16,
	STORE_RELEASE_VIEWS_MAX = 8,
	STORE_LEASES_MAX = STORE_VIEWS_MAX - 1,
	STORE_GONE_MAX = 128,
};

/* A view that was replaced. */
struct store_lease {
	struct store_view *view;
	int64_t since_ms, until_ms; /* of the wall clock: it became current, it goes */
	int64_t ends_ms;            /* the latter by the monotonic clock */
};

/* A large object whose list of hashes is to be made. */
struct store_wanted {
	struct digest object;
	uint64_t size;
};

struct store {
	struct layout layout;
	struct store_limits limits;
	enum store_overlay overlay;
	bool is_reader; /* opened by store_open_reader: nothing is changed */
	bool allow_rollback;
	store_observer *observer;
	void *observer_ctx;
	store_admission *admits;
	void *admits_ctx;
	struct cache *cache;
	/* Held while objects are swept, and while scrubbing finds out which are missing. */
	pthread_mutex_t sweeping;
	/* The writer's own: */
	bool has_broken_release;
	bool withdraws;     /* the next view replaces what may not be served any more */
	bool is_stale;      /* a release was committed that the view does not show yet */
	bool is_unsettled;  /* a change of releases/ may be undone by a power loss */
	bool is_sweep_held; /* the last store_collect did nothing: a release's file is damaged */
	bool has_lost_sync; /* a syncfs failed in this process' life: see object.h */
	struct known *known;
	size_t known_count;

	pthread_mutex_t mutex; /* guards all below */
	struct store_view *current;
	struct store_view *views; /* every view that somebody holds */
	int64_t current_since_ms;
	int64_t lease_ms;                            /* 0: there are no leases */
	struct store_lease leases[STORE_LEASES_MAX]; /* the oldest first */
	size_t lease_count;
	bool owes_sweep; /* a view is held no more that may have named what nothing else does */
	char gone[STORE_GONE_MAX][STORE_VIEW_ID_SIZE]; /* names of views that went, a ring */
	size_t gone_count;                             /* that went in all */
	/* Of single releases, the last one used first; NULL behind the last. */
	struct store_view *release_views[STORE_RELEASE_VIEWS_MAX];
	struct digest_set damaged; /* objects found missing or wrong */
	bool doubts_known;         /* all that is known is to be read again */
	struct store_wanted wanted[STORE_WANTED_MAX];
	size_t wanted_count;
	uint64_t damaged_total;
	uint64_t healed_total;
	uint64_t objects;
	uint64_t object_bytes;
	uint64_t scrub_objects;
	uint64_t scrub_bytes;
	uint64_t scrub_passes;
	int64_t scrub_passed_at;
	uint32_t scrub_ppm;
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

/* After ERR_IO: it is not gone on with when it is the one that can't be read. */
void download_doubt(struct store_download *download);

/* Tell the observer, if there is one. */
void store_tell(struct store *store, enum store_event_kind kind, const char *subject,
                const char *detail);

/* overlay.c: build a view of what is committed and swap it in. The writer alone. */
MUST_CHECK int overlay_publish(struct store *store, struct err *err);

/*
 * overlay.c: a view of one release alone, which is known to the store until its
 * last reference is put; without what the server keeps for itself, `.specman`,
 * unless has_reserved. Any thread. Errors: as store_view_of.
 */
MUST_CHECK struct store_view *overlay_of(struct store *store, const char *tag, bool has_reserved,
                                         struct err *err);

/* release_view.c: drop the views of releases that the current view does not have. */
void release_views_prune(struct store *store);

/* release_view.c: drop them all. */
void release_views_clear(struct store *store);

/*
 * known.c: the releases whose files were found to be whole, so that nobody reads
 * them again as long as they are the same files. The writer alone, but for
 * known_doubt. known_note forgets without memory.
 */
void known_note(struct store *store, const struct store_release *info, uint64_t fingerprint);
/* Whether there was something to forget. */
bool known_forget(struct store *store, const char *tag, struct digest *out_manifest);
/* Whether the release's file is the one that info is from. */
bool known_is_unchanged(struct store *store, const struct store_release *info,
                        uint64_t *out_fingerprint);
/* ERR_NOT_FOUND, or as release_read. */
MUST_CHECK int known_get(struct store *store, const char *tag, struct store_release *out_info,
                         struct err *err);
/* A file was found damaged, which its fingerprint need not show: read them all again. Any thread.
 */
void known_doubt(struct store *store);

/*
 * history.c: note that a tag's manifest is another one since when_ms, signed by this key; NULL
 * stands for none. The change has happened: the observer is told when it can't
 * be noted.
 */
void history_note(struct store *store, int64_t when_ms, const char *tag, const struct digest *from,
                  const struct digest *to, const struct digest *signer);

/* Since when the tag has had this manifest; false when it has another, or nobody remembers. */
bool history_find(struct store *store, const char *tag, const struct digest *manifest,
                  int64_t *out_when_ms);

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
 * fault, put it aside, note it, and make it ERR_DIGEST; for a reader, make it
 * ERR_NOT_FOUND when it may have been swept. size: what it should have, or
 * OBJECT_ANY_SIZE where that is not known; fd: what was read, or -1. Always -1.
 */
int damage_judge(struct store *store, const struct digest *digest, uint64_t size, int fd,
                 const char *path, struct err *err);

/* Look whether an object is there and has its size; note it when not. */
void damage_look(struct store *store, const struct digest *digest, uint64_t size, const char *path);

/* An object is in its place and whole. Tells the observer if it was damaged. */
void damage_healed(struct store *store, const struct digest *digest, const char *how);

/* Forget what is damaged and not in marked, also in quarantine/. */
MUST_CHECK int damage_sweep(struct store *store, const struct digest_set *marked, struct err *err);

/* scrub.c: have a list of hashes made. Beyond STORE_WANTED_MAX, the next request asks again. */
void store_want_hashes(struct store *store, const struct digest *object, uint64_t size);

#endif
