/*
 * The store's inside, for its own files: store.c (open, publish, collect),
 * overlay.c (the view), known.c (what the releases say of themselves),
 * history.c, damage.c (what was found wrong), download.c, content.c.
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

/* A release whose file was read to its end. */
struct known {
	struct store_release info;
	uint64_t fingerprint; /* of its file then */
};

struct store {
	struct layout layout;
	struct store_limits limits;
	enum store_overlay overlay;
	bool is_reader; /* opened by store_open_reader: nothing is changed */
	bool allow_rollback;
	uint64_t reserve_bytes;
	store_observer *observer;
	void *observer_ctx;
	/* The writer's own: */
	bool has_broken_release;
	bool is_stale; /* a release was committed that the view does not show yet */
	struct known *known;
	size_t known_count;

	pthread_mutex_t mutex; /* guards all below */
	struct store_view *current;
	struct store_view *views;   /* every view that somebody holds */
	struct digest_set damaged;  /* objects found missing or wrong */
	struct digest_set verified; /* large objects hashed by this process */
};

struct store_download {
	struct store *store;
	int fd;
	char name[LAYOUT_TMP_SIZE];
};

/* Tell the observer, if there is one. */
void store_tell(struct store *store, enum store_event_kind kind, const char *subject,
                const char *detail);

/* overlay.c: build a view of what is committed and swap it in. The writer alone. */
MUST_CHECK int overlay_publish(struct store *store, struct err *err);

/*
 * known.c: the releases whose files were found to be whole, so that nobody reads
 * them again as long as they are the same files. The writer alone. known_note
 * forgets without memory.
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

/*
 * history.c: note that a tag's manifest is another one since when_ms; NULL
 * stands for none. The change has happened: the observer is told when it can't
 * be noted.
 */
void history_note(struct store *store, int64_t when_ms, const char *tag, const struct digest *from,
                  const struct digest *to);

/* Since when the tag has had this manifest; false when it has another, or nobody remembers. */
bool history_find(struct store *store, const char *tag, const struct digest *manifest,
                  int64_t *out_when_ms);

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
