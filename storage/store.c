/*
 * The store: one writer, many readers of its current view. What it keeps true:
 *
 *	- objects are durable before a release's file names them (one syncfs for all
 *	  of them), a release's file is durable before it is renamed into place, and
 *	  that is the last step;
 *	- the view is built from committed files alone, so what is served is what a
 *	  restart would serve;
 *	- nothing is swept on the word of a change in releases/ that a power loss
 *	  could undo: the folder is synced before, also at start, where the change may
 *	  be that of a process which was killed;
 *	- what a sync reported as failed is not trusted after another one: objects are
 *	  written anew (see object.h), and so are the releases' files.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "gc.h"
#include "object.h"
#include "release.h"
#include "store.h"
#include "tree.h"
#include "unpack.h"
#include "view.h"

const struct store_limits store_default_limits = {
	.entries = 1000000,
	.file_bytes = (uint64_t)4 << 30,
	.total_bytes = (uint64_t)8 << 30,
	.ratio = 200,
	.ratio_from = (uint64_t)100 << 20,
	.path_bytes = 4096,
	.depth = 64,
};

DEFINE_CLEANUP(cleanup_tree, struct tree, tree_free);

void store_tell(struct store *store, enum store_event_kind kind, const char *subject,
                const char *detail)
{
	if (store->observer)
		store->observer(store->observer_ctx, kind, subject, detail);
}

struct store_view *store_view_get(struct store *store)
{
	struct store_view *view;

	(void)pthread_mutex_lock(&store->mutex);
	view = store->current;
	view_ref(view);
	(void)pthread_mutex_unlock(&store->mutex);
	return view;
}

/* ---- open and close ---- */

struct store *store_open(const struct store_settings *settings, struct err *err)
{
	struct store *store = calloc(1, sizeof(*store));
	struct err reason;
	uint64_t swept;

	if (!store) {
		(void)err_set_sys(err, ENOMEM, "store");
		return NULL;
	}
	store->limits = settings->limits;
	store->observer = settings->observer;
	store->observer_ctx = settings->observer_ctx;
	store->cache = cache_new(settings->cache_bytes, err);
	if (!store->cache || layout_open(settings->dir, &store->layout, err)) {
		cache_free(store->cache);
		free(store);
		return NULL;
	}
	store->layout.reserve_bytes = settings->reserve_bytes;
	(void)pthread_mutex_init(&store->mutex, NULL);
	(void)pthread_mutex_init(&store->sweeping, NULL);
	if (!store->layout.is_locked)
		store_tell(store, STORE_NOT_LOCKED, settings->dir, "");
	if (overlay_publish(store, err)) {
		store_close(store);
		return NULL;
	}
	download_sweep_stale(store);
	/* A disk that takes no writes is no reason not to serve what it has. */
	store->is_unsettled = release_sync(&store->layout, &reason);
	if (store->is_unsettled || store_collect(store, &swept, &reason))
		store_tell(store, STORE_NOT_SWEPT, settings->dir, reason.msg);
	return store;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	release_views_clear(store);
	store_view_put(store->current);
	digest_set_release(&store->damaged);
	cache_free(store->cache);
	(void)pthread_mutex_destroy(&store->sweeping);
	(void)pthread_mutex_destroy(&store->mutex);
	layout_close(&store->layout);
	free(store);
}

/* ---- looking up releases ---- */

static int refuse_damaged(void *ctx, const char *path, const struct tree_item *item,
                          struct err *err)
{
	struct store *store = ctx;

	if (item->kind == TREE_FILE && damage_is_known(store, &item->content))
		return err_set(err, ERR_NOT_FOUND, "the object of %.200s is damaged", path);
	if (item->twin_size && damage_is_known(store, &item->twin))
		return err_set(err, ERR_NOT_FOUND, "the gzip form of %.200s is damaged", path);
	return 0;
}

static int find_committed(struct store *store, const char *tag, struct store_release *out_release,
                          struct err *err)
{
	if (!release_read(&store->layout, tag, out_release,
	                  damage_is_any(store) ? refuse_damaged : NULL, store, err))
		return 0;
	if (err->kind == ERR_FORMAT) {
		store_tell(store, STORE_RELEASE_BROKEN, tag, err->msg);
		err->kind = ERR_NOT_FOUND;
	}
	return -1;
}

int store_release_find(struct store *store, const char *tag, struct store_release *out_release,
                       struct err *err)
{
	/* What is committed is unchanged for sync: a view that could not be built is owed still. */
	if (store->is_stale && overlay_publish(store, err))
		return -1;
	/* All are to be written anew; the first that is durable settles it for the folder. */
	if (store->is_unsettled)
		return err_set(err, ERR_NOT_FOUND,
		               "it is not sure which releases would outlast a power loss");
	return find_committed(store, tag, out_release, err);
}

/* ---- publishing ---- */

static bool tag_is_a_name(const char *tag)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-";
	size_t length = strlen(tag);

	return length && length < STORE_TAG_SIZE && tag[0] != '.' && tag[0] != '-' &&
	       strspn(tag, allowed) == length;
}

static void note_if_whole(struct store *store, const struct digest *digest, uint64_t size)
{
	if (damage_is_known(store, digest) && object_is_there(&store->layout, digest, size))
		damage_healed(store, digest, "fetched again");
}

/* Objects that were written anew are whole again. */
static void note_healed(struct store *store, const struct tree *tree)
{
	if (!damage_is_any(store))
		return;
	for (uint32_t i = 0; i < tree_count(tree); i++) {
		const struct tree_item *item = tree_item(tree, i);

		if (item->kind != TREE_FILE)
			continue;
		note_if_whole(store, &item->content, item->size);
		if (item->twin_size)
			note_if_whole(store, &item->twin, item->twin_size);
	}
}

/* Make the last change of releases/ durable. */
static int settle(struct store *store, struct err *err)
{
	store->is_unsettled = release_sync(&store->layout, err);
	return store->is_unsettled ? -1 : 0;
}

static int commit(struct store *store, const struct store_source *source, const struct tree *tree,
                  struct store_release *out_release, struct err *err)
{
	struct store_release info = { .manifest = *source->manifest, .layer = *source->layer };

	(void)strncpy(info.tag, source->tag, sizeof(info.tag) - 1);
	/* It stands in a line of its own in the release's file. */
	if (strlen(source->created) < sizeof(info.created) && !strpbrk(source->created, "\r\n"))
		(void)strcpy(info.created, source->created);
	if (syncfs(store->layout.root)) {
		store->has_lost_sync = true;
		return err_set_sys(err, errno, "make the objects durable");
	}
	if (release_write(&store->layout, tree, &info, err))
		return -1;
	store->is_stale = true;
	if (settle(store, err) || overlay_publish(store, err))
		return -1;
	*out_release = info;
	return 0;
}

/*
 * Nothing of it is to stay: free what it wrote. A daemon that is to stop does
 * not wait for that; the next start does it.
 */
static void roll_back(struct store *store, const struct err *reason)
{
	struct err later;
	uint64_t swept;

	store->layout.trusts_objects = false;
	/* What can't be swept now is swept by the next one, and is not trusted until then. */
	if (reason->kind == ERR_CANCELLED || store_collect(store, &swept, &later))
		return;
}

int store_publish(struct store *store, const struct store_source *source,
                  struct store_download *download, const struct cancel *cancel,
                  struct store_release *out_release, struct err *err)
{
	CLEANUP(cleanup_tree) struct tree *tree = NULL;

	if (!tag_is_a_name(source->tag))
		return err_set(err, ERR_FORMAT, "tag \"%.128s\" is no name for a release",
		               source->tag);
	tree = unpack(download->fd, &store->layout, &store->limits, cancel, err);
	if (!tree || commit(store, source, tree, out_release, err)) {
		layout_explain(&store->layout, err);
		roll_back(store, err);
		download->is_done = err->kind == ERR_FORMAT || err->kind == ERR_LIMIT;
		return -1;
	}
	download->is_done = true;
	note_healed(store, tree);
	return 0;
}

static int copy_entry(void *ctx, const char *path, const struct tree_item *item, struct err *err)
{
	bool replaced;

	return tree_put(ctx, path, item, TREE_STRICT, &replaced, err);
}

/* The tag of an intact release that was made from this layer, or ERR_NOT_FOUND. */
static int find_layer(struct store *store, const struct digest *layer,
                      char out_tag[static STORE_TAG_SIZE], struct err *err)
{
	struct store_release found;
	char **tags;
	size_t count;
	int result = err_set(err, ERR_NOT_FOUND, "no release was made from this layer");

	if (release_tags(&store->layout, &tags, &count, err))
		return -1;
	for (size_t i = 0; result && i < count; i++) {
		struct err reason;

		if (!find_committed(store, tags[i], &found, &reason) &&
		    digest_equal(&found.layer, layer)) {
			(void)strcpy(out_tag, found.tag);
			result = 0;
		}
	}
	release_tags_free(tags, count);
	return result;
}

int store_republish(struct store *store, const struct store_source *source,
                    struct store_release *out_release, struct err *err)
{
	CLEANUP(cleanup_tree) struct tree *tree = NULL;
	struct store_release found;
	char tag[STORE_TAG_SIZE];

	if (!tag_is_a_name(source->tag))
		return err_set(err, ERR_FORMAT, "tag \"%.128s\" is no name for a release",
		               source->tag);
	if (find_layer(store, source->layer, tag, err))
		return -1;
	tree = tree_new(UINT32_MAX, err);
	if (!tree || release_read(&store->layout, tag, &found, copy_entry, tree, err))
		return -1;
	return commit(store, source, tree, out_release, err);
}

/* ---- removing ---- */

int store_tags(struct store *store, char ***out_tags, size_t *out_count, struct err *err)
{
	return release_tags(&store->layout, out_tags, out_count, err);
}

void store_tags_free(char **tags, size_t count)
{
	release_tags_free(tags, count);
}

int store_remove(struct store *store, const char *const *tags, size_t count, struct err *err)
{
	struct err later;
	size_t removed;
	int failed;

	for (size_t i = 0; i < count; i++)
		if (!tag_is_a_name(tags[i]))
			return err_set(err, ERR_FORMAT, "tag \"%.128s\" is no name for a release",
			               tags[i]);
	failed = release_remove(&store->layout, tags, count, &removed, err);
	if (!removed)
		return failed;
	store->is_stale = true;
	if (settle(store, failed ? &later : err))
		failed = -1;
	return failed ? failed : overlay_publish(store, err);
}

/* ---- sweeping ---- */

static int mark_item(void *ctx, const char *path, const struct tree_item *item, struct err *err)
{
	(void)path;
	if (item->kind != TREE_FILE)
		return 0;
	if (item->twin_size && digest_set_add(ctx, &item->twin, err))
		return -1;
	return digest_set_add(ctx, &item->content, err);
}

static int mark_views(struct store *store, struct digest_set *marked, struct err *err)
{
	int failed = 0;

	(void)pthread_mutex_lock(&store->mutex);
	for (struct store_view *view = store->views; view; view = *view_next(view)) {
		size_t count;
		const struct store_entry *entries = view_entries(view, &count);

		for (size_t i = 0; !failed && i < count; i++)
			if (!entries[i].is_folder)
				failed = digest_set_add(marked, &entries[i].content, err) ||
				         (entries[i].twin_size &&
				          digest_set_add(marked, &entries[i].twin, err));
	}
	(void)pthread_mutex_unlock(&store->mutex);
	return failed;
}

/* All that is named, and then away with the rest. The caller holds sweeping. */
static int sweep(struct store *store, uint64_t *out_swept, struct err *err)
{
	CLEANUP(digest_set_release) struct digest_set marked = { .keys = NULL };
	uint64_t lists;
	char **tags;
	size_t count;
	int failed;

	if (release_tags(&store->layout, &tags, &count, err))
		return -1;
	failed = mark_views(store, &marked, err);
	for (size_t i = 0; !failed && i < count; i++) {
		struct store_release info;

		failed = release_read(&store->layout, tags[i], &info, mark_item, &marked, err);
	}
	release_tags_free(tags, count);
	if (failed || gc_sweep(store->layout.objects, &marked, out_swept, err) ||
	    gc_sweep(store->layout.blocks, &marked, &lists, err) ||
	    damage_sweep(store, &marked, err))
		return -1;
	(void)pthread_mutex_lock(&store->mutex);
	store->objects = marked.count;
	(void)pthread_mutex_unlock(&store->mutex);
	return 0;
}

int store_collect(struct store *store, uint64_t *out_swept, struct err *err)
{
	int failed;

	*out_swept = 0;
	if (store->has_broken_release)
		return 0;
	if (store->is_unsettled)
		return err_set(err, ERR_IO,
		               "nothing is swept while a change of the releases is not durable");
	(void)pthread_mutex_lock(&store->sweeping);
	failed = sweep(store, out_swept, err);
	(void)pthread_mutex_unlock(&store->sweeping);
	store->layout.trusts_objects = !failed && !store->has_lost_sync;
	return failed;
}

/* ---- figures ---- */

void store_count(struct store *store, struct store_counters *out_counters)
{
	struct cache_counters cache;

	cache_count(store->cache, &cache);
	(void)pthread_mutex_lock(&store->mutex);
	*out_counters = (struct store_counters){
		.objects = store->objects,
		.damaged = store->damaged.count,
		.damaged_total = store->damaged_total,
		.healed_total = store->healed_total,
		.cache_hits = cache.hits,
		.cache_misses = cache.misses,
		.cache_evictions = cache.evictions,
		.cache_pieces = cache.pieces,
		.cache_bytes = cache.bytes,
		.cache_limit = cache.limit,
		.scrub_objects = store->scrub_objects,
		.scrub_bytes = store->scrub_bytes,
		.scrub_passes = store->scrub_passes,
		.scrub_passed_at = store->scrub_passed_at,
	};
	(void)pthread_mutex_unlock(&store->mutex);
}
