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
#include "base/timestamp.h"
#include "lease.h"
#include "object.h"
#include "proof.h"
#include "release.h"
#include "release_reader.h"
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

/* A disk that takes no writes is no reason not to serve what it has. */
static void tidy(struct store *store, const char *dir)
{
	struct err reason;

	if (!store->layout.is_locked)
		store_tell(store, STORE_NOT_LOCKED, dir, "");
	download_sweep_stale(store);
	store->is_unsettled = release_sync(&store->layout, &reason);
	if (store->is_unsettled)
		store_tell(store, STORE_NOT_SWEPT, dir, reason.msg);
}

static struct store *open_as(const struct store_settings *settings, bool is_reader, struct err *err)
{
	struct store *store = calloc(1, sizeof(*store));

	if (!store) {
		(void)err_set_sys(err, ENOMEM, "store");
		return NULL;
	}
	store->is_reader = is_reader;
	store->limits = settings->limits;
	store->overlay = settings->overlay;
	store->allow_rollback = settings->allow_rollback;
	store->observer = settings->observer;
	store->observer_ctx = settings->observer_ctx;
	store->admits = settings->admits;
	store->admits_ctx = settings->admits_ctx;
	store->cache = cache_new(settings->cache_bytes, err);
	if (!store->cache || (is_reader ? layout_open_reader(settings->dir, &store->layout, err)
	                                : layout_open(settings->dir, &store->layout, err))) {
		cache_free(store->cache);
		free(store);
		return NULL;
	}
	store->layout.reserve_bytes = settings->reserve_bytes;
	(void)pthread_mutex_init(&store->mutex, NULL);
	(void)pthread_mutex_init(&store->sweeping, NULL);
	if (overlay_publish(store, err)) {
		store_close(store);
		return NULL;
	}
	if (!is_reader)
		tidy(store, settings->dir);
	return store;
}

struct store *store_open(const struct store_settings *settings, struct err *err)
{
	return open_as(settings, false, err);
}

struct store *store_open_reader(const struct store_settings *settings, struct err *err)
{
	return open_as(settings, true, err);
}

void store_close(struct store *store)
{
	if (!store)
		return;
	release_views_clear(store);
	leases_clear(store);
	store_view_put(store->current);
	digest_set_release(&store->damaged);
	free(store->known);
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

bool store_release_is_whole(struct store *store, const char *tag)
{
	struct store_release release;
	struct err unneeded;

	return !known_get(store, tag, &release, &unneeded) && proof_admits(store, &release);
}

bool store_release_is_withheld(struct store *store, const char *tag)
{
	struct store_release release;
	struct err unneeded;

	return !known_get(store, tag, &release, &unneeded) && !proof_admits(store, &release);
}

static int find_committed(struct store *store, const char *tag, struct store_release *out_release,
                          struct err *err)
{
	struct store_release found;

	if (!known_get(store, tag, &found, err) &&
	    (!damage_is_any(store) ||
	     !release_read(&store->layout, tag, &found, refuse_damaged, store, err))) {
		*out_release = found;
		return 0;
	}
	if (err->kind == ERR_FORMAT) {
		store_tell(store, STORE_RELEASE_BROKEN, tag, err->msg);
		err->kind = ERR_NOT_FOUND;
	}
	return -1;
}

int store_release_find(struct store *store, const char *tag, struct store_release *out_release,
                       struct err *err)
{
	struct store_release found;

	/* What is committed is unchanged for sync: a view that could not be built is owed still. */
	if (store->is_stale && overlay_publish(store, err))
		return -1;
	/* All are to be written anew; the first that is durable settles it for the folder. */
	if (store->is_unsettled)
		return err_set(err, ERR_NOT_FOUND,
		               "it is not sure which releases would outlast a power loss");
	if (find_committed(store, tag, &found, err))
		return -1;
	if (!proof_admits(store, &found))
		return err_set(err, ERR_NOT_FOUND, "it is there, and may not be served");
	*out_release = found;
	return 0;
}

int store_reconsider(struct store *store, struct err *err)
{
	store->is_stale = true;
	store->withdraws = true;
	return overlay_publish(store, err);
}

/* ---- publishing ---- */

static void note_if_whole(struct store *store, const struct digest *digest, uint64_t size)
{
	if (damage_is_known(store, digest) && object_is_there(&store->layout, digest, size))
		damage_healed(store, digest, "fetched again");
}

static int look_whether_whole(void *ctx, const char *path, const struct tree_item *item,
                              struct err *err)
{
	(void)path;
	(void)err;
	if (item->kind == TREE_FILE)
		note_if_whole(ctx, &item->content, item->size);
	if (item->twin_size)
		note_if_whole(ctx, &item->twin, item->twin_size);
	return 0;
}

/* Objects that were written anew are whole again. Without this they are fetched once more. */
static void note_healed(struct store *store, const char *tag)
{
	struct store_release unneeded;
	struct err later;

	if (damage_is_any(store) &&
	    release_read(&store->layout, tag, &unneeded, look_whether_whole, store, &later))
		return;
}

static int refuse_rollback(struct store *store, const struct store_source *source, struct err *err)
{
	struct store_release served;
	struct err unneeded;
	int64_t before, after;

	if (store->allow_rollback || known_get(store, source->tag, &served, &unneeded) ||
	    digest_equal(&served.layer, source->layer) ||
	    timestamp_parse(served.created, &before) || timestamp_parse(source->created, &after) ||
	    after >= before)
		return 0;
	return err_set(err, ERR_ROLLBACK,
	               "the tag moves backwards: it was created %.39s, and what is served %s",
	               source->created, served.created);
}

/* Make the last change of releases/ durable. */
static int settle(struct store *store, struct err *err)
{
	store->is_unsettled = release_sync(&store->layout, err);
	return store->is_unsettled ? -1 : 0;
}

/* A release that is to be committed, and what it replaces. */
struct change {
	struct store_release info;
	bool is_change; /* of the tag's manifest, rather than the same anew */
	bool had_release;
	struct digest before;
};

static struct change describe(struct store *store, const struct store_source *source)
{
	struct change change = { .info = { .manifest = *source->manifest,
		                           .layer = *source->layer } };
	struct store_release *info = &change.info;
	struct store_release before;
	struct err unneeded;

	(void)strncpy(info->tag, source->tag, sizeof(info->tag) - 1);
	/* It stands in a line of its own in the release's file. */
	if (strlen(source->created) < sizeof(info->created) && !strpbrk(source->created, "\r\n"))
		(void)strcpy(info->created, source->created);
	if (!known_get(store, source->tag, &before, &unneeded)) {
		change.had_release = true;
		change.before = before.manifest;
		change.is_change = !digest_equal(&before.manifest, &info->manifest);
		info->seen_ms = before.seen_ms;
	} else {
		/* A file that was damaged is written anew; else there was none. */
		change.is_change = !history_find(store, source->tag, &info->manifest,
		                                 &info->seen_ms);
	}
	if (!change.is_change)
		return change;
	/* Later than all that were seen before, also when the clock was set back meanwhile. */
	info->seen_ms = timestamp_now_ms();
	for (size_t i = 0; i < store->known_count; i++)
		if (store->known[i].info.seen_ms >= info->seen_ms)
			info->seen_ms = store->known[i].info.seen_ms + 1;
	return change;
}

/*
 * The release is made from *tree, or as a copy of another tag's. The tree is freed before
 * the view is built, for each is large where there are many files.
 */
static int commit(struct store *store, const struct store_source *source, struct tree **tree,
                  const char *copy_of, struct store_release *out_release, struct err *err)
{
	struct change change = describe(store, source);
	struct store_release *info = &change.info;
	int failed;

	if (syncfs(store->layout.root)) {
		store->has_lost_sync = true;
		store->layout.trusts_objects = false;
		return err_set_sys(err, errno, "make the objects durable");
	}
	if (source->proof && proof_put(store, source, err))
		return -1;
	if (tree ? release_write(&store->layout, *tree, info, err)
	         : release_copy(&store->layout, copy_of, info, err))
		return -1;
	if (tree)
		tree_free(STEAL(*tree));
	store->is_stale = true;
	failed = settle(store, err);
	/* It has happened, whether or not it would outlast a power loss. */
	if (change.is_change)
		history_note(store, info->seen_ms, info->tag,
		             change.had_release ? &change.before : NULL, &info->manifest,
		             source->signer);
	if (failed || overlay_publish(store, err))
		return -1;
	*out_release = *info;
	return 0;
}

/*
 * Nothing of it is to stay: free what it wrote. A daemon that is to stop does
 * not wait for that; the next one sweeps it. Where the room was short, what is
 * kept for replaced views goes as well, so that the next try has it.
 */
static void roll_back(struct store *store, const struct err *reason)
{
	struct err later;
	uint64_t swept;

	store->layout.trusts_objects = false;
	if (reason->kind == ERR_NO_SPACE)
		(void)leases_end(store);
	/* What can't be swept now is swept by the next one, and is not trusted until then. */
	if (reason->kind == ERR_CANCELLED || store_collect(store, &swept, &later))
		return;
}

int store_publish(struct store *store, const struct store_source *source,
                  struct store_download *download, const struct cancel *cancel,
                  struct store_release *out_release, struct err *err)
{
	CLEANUP(cleanup_tree) struct tree *tree = NULL;

	if (!release_is_name(source->tag))
		return err_set(err, ERR_FORMAT, "tag \"%.128s\" is no name for a release",
		               source->tag);
	if (refuse_rollback(store, source, err)) {
		download->is_done = true;
		return -1;
	}
	tree = unpack(download->fd, source->layer, &store->layout, &store->limits, cancel, err);
	if (!tree || commit(store, source, &tree, NULL, out_release, err)) {
		layout_explain(&store->layout, err);
		roll_back(store, err);
		download->is_done = err->kind == ERR_FORMAT || err->kind == ERR_LIMIT ||
		                    err->kind == ERR_DIGEST;
		if (err->kind == ERR_IO)
			download_doubt(download);
		return -1;
	}
	download->is_done = true;
	note_healed(store, source->tag);
	return 0;
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
	char tag[STORE_TAG_SIZE];

	if (!release_is_name(source->tag))
		return err_set(err, ERR_FORMAT, "tag \"%.128s\" is no name for a release",
		               source->tag);
	if (refuse_rollback(store, source, err) || find_layer(store, source->layer, tag, err))
		return -1;
	return commit(store, source, NULL, tag, out_release, err);
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

/* Of those that are gone; what a damaged one was is not known. */
static void note_removed(struct store *store, const char *const *tags, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct digest manifest;

		if (!release_fingerprint(&store->layout, tags[i]) &&
		    known_forget(store, tags[i], &manifest))
			history_note(store, timestamp_now_ms(), tags[i], &manifest, NULL, NULL);
	}
}

int store_remove(struct store *store, const char *const *tags, size_t count, struct err *err)
{
	struct err later;
	size_t removed;
	int failed;

	for (size_t i = 0; i < count; i++)
		if (!release_is_name(tags[i]))
			return err_set(err, ERR_FORMAT, "tag \"%.128s\" is no name for a release",
			               tags[i]);
	failed = release_remove(&store->layout, tags, count, &removed, err);
	if (removed) {
		store->is_stale = true;
		if (settle(store, failed ? &later : err))
			failed = -1;
	}
	note_removed(store, tags, count);
	return failed || !removed ? failed : overlay_publish(store, err);
}

/* ---- figures ---- */

void store_count(struct store *store, struct store_counters *out_counters)
{
	struct cache_counters cache;

	cache_count(store->cache, &cache);
	(void)pthread_mutex_lock(&store->mutex);
	*out_counters = (struct store_counters){
		.objects = store->objects,
		.object_bytes = store->object_bytes,
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
		.scrub_ppm = store->scrub_ppm,
	};
	(void)pthread_mutex_unlock(&store->mutex);
}

int store_count_quarantined(struct store *store, uint64_t *out_count, struct err *err)
{
	CLEANUP(cleanup_dir) DIR *dir = layout_list(store->layout.quarantine, ".", err);
	const struct dirent *entry;
	uint64_t count = 0;
	int more = 1;

	if (!dir)
		return -1;
	while (count < STORE_QUARANTINED_MAX &&
	       (more = layout_next(dir, &entry, "quarantine", err)) > 0)
		count += entry->d_name[0] != '.';
	if (more < 0)
		return -1;
	*out_count = count;
	return 0;
}
