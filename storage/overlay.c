/*
 * From the committed releases to the view: each laid over the ones before it;
 * see store.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "release.h"
#include "store.h"
#include "tree.h"
#include "view.h"

DEFINE_CLEANUP(cleanup_tree, struct tree, tree_free);

static void forget_view(void *ctx, struct store_view *view)
{
	struct store *store = ctx;
	struct store_view **at = &store->views;

	(void)pthread_mutex_lock(&store->mutex);
	while (*at != view)
		at = view_next(*at);
	*at = *view_next(view);
	(void)pthread_mutex_unlock(&store->mutex);
}

bool overlay_is_reserved(const char *path)
{
	return !strncmp(path, ".specman", 8) && (path[8] == '/' || !path[8]);
}

struct store_view *overlay_make(struct store *store, const struct tree *tree,
                                struct store_release *releases, size_t count, struct err *err)
{
	struct store_view *view = view_new_take(tree, releases, count, forget_view, store, err);

	if (!view)
		return NULL;
	(void)pthread_mutex_lock(&store->mutex);
	*view_next(view) = store->views;
	store->views = view;
	(void)pthread_mutex_unlock(&store->mutex);
	return view;
}

struct overlay {
	struct store *store;
	struct tree *tree;
	uint32_t release;
	const char *tag;
	bool has_reserved;
};

static int lay_over(void *ctx, const char *path, const struct tree_item *item, struct err *err)
{
	struct overlay *overlay = ctx;
	struct tree_item placed = *item;
	bool conflict = false;

	if (overlay_is_reserved(path)) {
		overlay->has_reserved = true;
		return 0;
	}
	placed.release = overlay->release;
	if (item->kind == TREE_FILE)
		damage_look(overlay->store, &item->content, item->size, path);
	if (item->twin_size)
		damage_look(overlay->store, &item->twin, item->twin_size, path);
	if (tree_put(overlay->tree, path, &placed, TREE_REPLACE, &conflict, err))
		return -1;
	if (conflict)
		store_tell(overlay->store, STORE_OVERLAY_CONFLICT, path, overlay->tag);
	return 0;
}

/*
 * Lay one release over the tree. A damaged one is left out: its file is read
 * in whole before its first entry is visited.
 */
static int add_release(struct overlay *overlay, struct store_release *out_info, bool *out_added,
                       struct err *err)
{
	struct store *store = overlay->store;

	*out_added = false;
	if (release_read(&store->layout, overlay->tag, out_info, NULL, NULL, err)) {
		if (err->kind != ERR_FORMAT)
			return -1;
		store->has_broken_release = true;
		store_tell(store, STORE_RELEASE_BROKEN, overlay->tag, err->msg);
		return 0;
	}
	overlay->has_reserved = false;
	if (release_read(&store->layout, overlay->tag, out_info, lay_over, overlay, err))
		return -1;
	if (overlay->has_reserved)
		store_tell(store, STORE_RESERVED_NAME, overlay->tag, "");
	*out_added = true;
	return 0;
}

static struct store_view *build_view(struct store *store, char **tags, size_t count,
                                     struct err *err)
{
	CLEANUP(cleanup_tree) struct tree *tree = tree_new(UINT32_MAX, err);
	CLEANUP(cleanup_free) struct store_release *releases = calloc(count + 1, sizeof(*releases));
	struct overlay overlay = { .store = store, .tree = tree };
	struct store_view *view;

	if (!tree)
		return NULL;
	if (!releases) {
		(void)err_set_sys(err, ENOMEM, "list of releases");
		return NULL;
	}
	store->has_broken_release = false;
	for (size_t i = 0; i < count; i++) {
		bool added;

		overlay.tag = tags[i];
		if (add_release(&overlay, &releases[overlay.release], &added, err)) {
			(void)err_context(err, "load release %s", tags[i]);
			return NULL;
		}
		overlay.release += added;
	}
	view = overlay_make(store, tree, releases, overlay.release, err);
	if (view)
		releases = NULL;
	return view;
}

int overlay_publish(struct store *store, struct err *err)
{
	struct store_view *view, *old;
	char **tags;
	size_t count;

	if (release_tags(&store->layout, &tags, &count, err))
		return -1;
	view = build_view(store, tags, count, err);
	release_tags_free(tags, count);
	if (!view)
		return -1;
	(void)pthread_mutex_lock(&store->mutex);
	old = store->current;
	store->current = view;
	(void)pthread_mutex_unlock(&store->mutex);
	store_view_put(old);
	release_views_prune(store);
	store->is_stale = false;
	return 0;
}
