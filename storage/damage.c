/* Objects found missing or wrong; see store.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "object.h"
#include "store.h"

static void tell(struct store *store, enum store_event_kind kind, const struct digest *digest,
                 const char *detail)
{
	char subject[sizeof("objects/") + LAYOUT_OBJECT_SIZE], name[LAYOUT_OBJECT_SIZE];

	(void)snprintf(subject, sizeof(subject), "objects/%s", layout_object_name(digest, name));
	store_tell(store, kind, subject, detail);
}

void damage_note(struct store *store, const struct digest *digest, const char *path,
                 const char *why)
{
	char detail[600];
	struct err full;
	bool is_news;

	(void)pthread_mutex_lock(&store->mutex);
	is_news = !digest_set_has(&store->damaged, digest);
	/* Without memory the object is found out again at the next request. */
	if (is_news && digest_set_add(&store->damaged, digest, &full))
		why = "it is damaged, and there is no memory to note that";
	store->damaged_total += is_news;
	(void)pthread_mutex_unlock(&store->mutex);
	(void)snprintf(detail, sizeof(detail), "%.200s%s%.300s", path, *path ? ": " : "", why);
	if (is_news)
		tell(store, STORE_OBJECT_DAMAGED, digest, detail);
}

int damage_judge(struct store *store, const struct digest *digest, uint64_t size, int fd,
                 const char *path, struct err *err)
{
	bool is_gone = err->kind == ERR_NOT_FOUND || (err->kind == ERR_IO && err->sys == ESTALE);
	/* What can't be opened may well have its size. */
	uint64_t wrong = err->kind == ERR_IO ? OBJECT_ANY_SIZE : size;

	/* For a reader: it may have been swept by the writer, on another host of NFS, too. */
	if (store->is_reader && is_gone) {
		err->kind = ERR_NOT_FOUND;
		return -1;
	}
	if (!object_is_at_fault(err))
		return -1;
	/* One that was written anew meanwhile is left alone: the next look is at that. */
	if ((fd < 0 || object_is_same(&store->layout, digest, fd)) &&
	    (store->is_reader || object_put_aside(&store->layout, digest, wrong, fd)))
		damage_note(store, digest, path, err->msg);
	err->kind = ERR_DIGEST;
	return -1;
}

void damage_look(struct store *store, const struct digest *digest, uint64_t size, const char *path)
{
	if (damage_is_known(store, digest) || object_is_there(&store->layout, digest, size))
		return;
	if (object_put_aside(&store->layout, digest, size, -1))
		damage_note(store, digest, path, "its object is missing or cut off");
}

bool damage_is_known(struct store *store, const struct digest *digest)
{
	bool damaged;

	(void)pthread_mutex_lock(&store->mutex);
	damaged = digest_set_has(&store->damaged, digest);
	(void)pthread_mutex_unlock(&store->mutex);
	return damaged;
}

bool damage_is_any(struct store *store)
{
	bool any;

	(void)pthread_mutex_lock(&store->mutex);
	any = store->damaged.count > 0;
	(void)pthread_mutex_unlock(&store->mutex);
	return any;
}

void damage_healed(struct store *store, const struct digest *digest, const char *how)
{
	char aside[DIGEST_TEXT_SIZE];
	bool was;

	(void)pthread_mutex_lock(&store->mutex);
	was = digest_set_has(&store->damaged, digest);
	digest_set_remove(&store->damaged, digest);
	store->healed_total += was;
	(void)pthread_mutex_unlock(&store->mutex);
	if (!was)
		return;
	object_forget_aside(&store->layout, digest_hex(digest, aside));
	tell(store, STORE_OBJECT_HEALED, digest, how);
}

/* ---- sweeping ---- */

static void forget_unmarked(struct store *store, const struct digest_set *marked)
{
	(void)pthread_mutex_lock(&store->mutex);
	digest_set_keep(&store->damaged, marked);
	(void)pthread_mutex_unlock(&store->mutex);
}

int damage_sweep(struct store *store, const struct digest_set *marked, struct err *err)
{
	CLEANUP(cleanup_dir) DIR *dir = layout_list(store->layout.quarantine, ".", err);
	const struct dirent *entry;
	int more;

	if (!dir)
		return -1;
	while ((more = layout_next(dir, &entry, "quarantine", err)) > 0) {
		struct digest digest;
		struct err no_object;

		if (entry->d_name[0] != '.' &&
		    (digest_parse_hex(entry->d_name, strlen(entry->d_name), &digest, &no_object) ||
		     !digest_set_has(marked, &digest)))
			object_forget_aside(&store->layout, entry->d_name);
	}
	forget_unmarked(store, marked);
	return more;
}
