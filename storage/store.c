/*
 * The store: one writer, many readers of its current view. What it keeps true:
 * objects are durable before a release's file names them, a release's file is
 * renamed into place as the last step, and the view is built from committed
 * files alone, so what is served is what a restart would serve.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "gc.h"
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
	store->reserve_bytes = settings->reserve_bytes;
	store->observer = settings->observer;
	store->observer_ctx = settings->observer_ctx;
	if (is_reader ? layout_open_reader(settings->dir, &store->layout, err)
	              : layout_open(settings->dir, &store->layout, err)) {
		free(store);
		return NULL;
	}
	(void)pthread_mutex_init(&store->mutex, NULL);
	if (overlay_publish(store, err)) {
		store_close(store);
		return NULL;
	}
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
	store_view_put(store->current);
	digest_set_release(&store->damaged);
	digest_set_release(&store->verified);
	free(store->known);
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
	return 0;
}

bool store_release_is_whole(struct store *store, const char *tag)
{
	struct store_release release;
	struct err unneeded;

	return !known_get(store, tag, &release, &unneeded);
}

int store_release_find(struct store *store, const char *tag, struct store_release *out_release,
                       struct err *err)
{
	struct store_release found;

	/* What is committed is unchanged for sync: a view that could not be built is owed still. */
	if (store->is_stale && overlay_publish(store, err))
		return -1;
	if (known_get(store, tag, &found, err) ||
	    (damage_is_any(store) &&
	     release_read(&store->layout, tag, &found, refuse_damaged, store, err))) {
		if (err->kind == ERR_FORMAT)
			err->kind = ERR_NOT_FOUND;
		return -1;
	}
	*out_release = found;
	return 0;
}

/* ---- publishing ---- */

/* Objects that were written anew are whole again. */
static void forget_damage(struct store *store, const struct tree *tree)
{
	if (!damage_is_any(store))
		return;
	for (uint32_t i = 0; i < tree_count(tree); i++)
		damage_forget(store, &tree_item(tree, i)->content);
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

/* The release is made from the tree, or as a copy of another tag's. */
static int commit(struct store *store, const struct store_source *source, const struct tree *tree,
                  const char *copy_of, struct store_release *out_release, struct err *err)
{
	struct change change = describe(store, source);
	struct store_release *info = &change.info;

	if (syncfs(store->layout.root))
		return err_set_sys(err, errno, "make the objects durable");
	if (tree ? release_write(&store->layout, tree, info, err)
	         : release_copy(&store->layout, copy_of, info, err))
		return -1;
	store->is_stale = true;
	if (change.is_change)
		history_note(store, info->seen_ms, info->tag,
		             change.had_release ? &change.before : NULL, &info->manifest);
	if (overlay_publish(store, err))
		return -1;
	*out_release = *info;
	return 0;
}

int store_publish(struct store *store, const struct store_source *source,
                  struct store_download *download, const struct cancel *cancel,
                  struct store_release *out_release, struct err *err)
{
	CLEANUP(cleanup_tree) struct tree *tree = NULL;

	if (!release_is_name(source->tag))
		return err_set(err, ERR_FORMAT, "tag \"%.128s\" is no name for a release",
		               source->tag);
	if (refuse_rollback(store, source, err))
		return -1;
	tree = unpack(download->fd, &store->layout, &store->limits, cancel, err);
	if (!tree)
		return -1;
	forget_damage(store, tree);
	return commit(store, source, tree, NULL, out_release, err);
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

		if (!store_release_find(store, tags[i], &found, &reason) &&
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
			history_note(store, timestamp_now_ms(), tags[i], &manifest, NULL);
	}
}

int store_remove(struct store *store, const char *const *tags, size_t count, struct err *err)
{
	size_t removed;
	int failed;

	for (size_t i = 0; i < count; i++)
		if (!release_is_name(tags[i]))
			return err_set(err, ERR_FORMAT, "tag \"%.128s\" is no name for a release",
			               tags[i]);
	failed = release_remove(&store->layout, tags, count, &removed, err);
	if (removed)
		store->is_stale = true;
	note_removed(store, tags, count);
	return failed || !removed ? failed : overlay_publish(store, err);
}

/* ---- sweeping ---- */

static int mark_item(void *ctx, const char *path, const struct tree_item *item, struct err *err)
{
	(void)path;
	return item->kind == TREE_FILE ? digest_set_add(ctx, &item->content, err) : 0;
}

static int mark_view(const struct store_view *view, struct digest_set *marked, struct err *err)
{
	size_t count;
	const struct store_entry *entries = view_entries(view, &count);
	int failed = 0;

	for (size_t i = 0; !failed && i < count; i++) {
		const struct digest content = store_content_digest(&entries[i]);

		if (!entries[i].is_folder)
			failed = digest_set_add(marked, &content, err);
	}
	return failed;
}

/*
 * The views that are held now, each with a reference more. Others come to be by
 * this thread alone, so there are no more of them the second time.
 */
static int hold_views(struct store *store, struct store_view ***out_views, size_t *out_count,
                      struct err *err)
{
	struct store_view **views;
	size_t room = 0, count = 0;

	(void)pthread_mutex_lock(&store->mutex);
	for (struct store_view *view = store->views; view; view = *view_next(view))
		room++;
	(void)pthread_mutex_unlock(&store->mutex);
	views = calloc(room + 1, sizeof(struct store_view *));
	if (!views)
		return err_set_sys(err, ENOMEM, "list of views");
	(void)pthread_mutex_lock(&store->mutex);
	for (struct store_view *view = store->views; view; view = *view_next(view))
		if (view_ref_held(view))
			views[count++] = view;
	(void)pthread_mutex_unlock(&store->mutex);
	*out_views = views;
	*out_count = count;
	return 0;
}

/* Without the mutex, which every request takes: a view may be large. */
static int mark_views(struct store *store, struct digest_set *marked, struct err *err)
{
	CLEANUP(cleanup_free) struct store_view **views = NULL;
	size_t count;
	int failed = 0;

	if (hold_views(store, &views, &count, err))
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (!failed)
			failed = mark_view(views[i], marked, err);
		store_view_put(views[i]);
	}
	return failed;
}

/* Whether all releases could be read: their objects are in the set then. */
static int mark_releases(struct store *store, struct digest_set *marked, bool *out_whole,
                         struct err *err)
{
	char **tags;
	size_t count;
	int failed = 0;

	if (release_tags(&store->layout, &tags, &count, err))
		return -1;
	for (size_t i = 0; !failed && i < count; i++) {
		struct store_release info;

		failed = release_read(&store->layout, tags[i], &info, mark_item, marked, err);
	}
	release_tags_free(tags, count);
	*out_whole = !failed;
	return failed && err->kind != ERR_FORMAT ? -1 : 0;
}

static void note_missing(struct store *store, const struct digest_set *missing)
{
	static const unsigned char free_place[SET_KEY_BYTES];

	for (size_t i = 0; i < missing->places; i++) {
		struct digest digest = { .algorithm = DIGEST_SHA256 };
		char hex[DIGEST_TEXT_SIZE];

		if (!memcmp(missing->keys[i], free_place, SET_KEY_BYTES))
			continue;
		memcpy(digest.bytes, missing->keys[i], SET_KEY_BYTES);
		if (!damage_is_known(store, &digest))
			damage_note(store, &digest, digest_hex(&digest, hex),
			            "the object is missing");
	}
}

int store_collect(struct store *store, uint64_t *out_swept, struct err *err)
{
	CLEANUP(digest_set_release) struct digest_set marked = { .keys = NULL };
	bool is_whole;

	*out_swept = 0;
	if (store->has_broken_release)
		return 0;
	if (mark_views(store, &marked, err) || mark_releases(store, &marked, &is_whole, err))
		return -1;
	if (!is_whole)
		return 0;
	if (gc_sweep(&store->layout, &marked, out_swept, err))
		return -1;
	note_missing(store, &marked);
	return 0;
}
