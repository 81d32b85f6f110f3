/*
 * Sweeping the store of what nothing names, and finding what is named and
 * missing; see storage.h. Views are marked without the mutex that every request
 * takes, since a view may be large.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "gc.h"
#include "proof.h"
#include "release.h"
#include "store.h"
#include "view.h"

/* ---- what is named ---- */

struct marks {
	struct digest_set set;
	uint64_t bytes;              /* of all that is in it */
	struct digest_set manifests; /* of the releases */
};

static void marks_release(struct marks *marks)
{
	digest_set_release(&marks->set);
	digest_set_release(&marks->manifests);
}

static int mark(struct marks *marks, const struct digest *digest, uint64_t size, struct err *err)
{
	size_t before = marks->set.count;

	if (digest_set_add(&marks->set, digest, err))
		return -1;
	if (marks->set.count != before)
		marks->bytes += size;
	return 0;
}

static int mark_item(void *ctx, const char *path, const struct tree_item *item, struct err *err)
{
	(void)path;
	if (item->kind != TREE_FILE)
		return 0;
	if (item->twin_size && mark(ctx, &item->twin, item->twin_size, err))
		return -1;
	return mark(ctx, &item->content, item->size, err);
}

static int mark_view(const struct store_view *view, struct marks *marked, struct err *err)
{
	size_t count;
	const struct store_entry *entries = view_entries(view, &count);
	int failed = 0;

	for (size_t i = 0; !failed && i < count; i++) {
		const struct digest content = store_content_digest(&entries[i]);
		const struct digest twin = store_twin_digest(&entries[i]);

		if (!entries[i].is_folder)
			failed = mark(marked, &content, entries[i].size, err) ||
			         (entries[i].twin_size &&
			          mark(marked, &twin, entries[i].twin_size, err));
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

static int mark_views(struct store *store, struct marks *marked, struct err *err)
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
static int mark_releases(struct store *store, struct marks *marked, bool *out_whole,
                         struct err *err)
{
	char **tags;
	size_t count;
	int failed = 0;

	if (release_tags(&store->layout, &tags, &count, err))
		return -1;
	for (size_t i = 0; !failed && i < count; i++) {
		struct store_release info;

		failed = release_read(&store->layout, tags[i], &info, mark_item, marked, err) ||
		         digest_set_add(&marked->manifests, &info.manifest, err);
	}
	release_tags_free(tags, count);
	*out_whole = !failed;
	if (failed && err->kind == ERR_FORMAT) {
		known_doubt(store); /* so that it is fetched again */
		failed = 0;
	}
	return failed ? -1 : 0;
}

/* ---- sweeping ---- */

static bool is_missing(const struct store *store, const struct digest *digest)
{
	char name[LAYOUT_OBJECT_SIZE];
	struct stat st;

	return fstatat(store->layout.objects, layout_object_name(digest, name), &st,
	               AT_SYMLINK_NOFOLLOW) &&
	       errno == ENOENT;
}

/* What is named and was not met: unless its folder could not be listed, or it was put back. */
static void note_missing(struct store *store, const struct digest_set *marked, const bool *met)
{
	for (size_t i = 0; i < marked->count; i++) {
		const struct digest digest = digest_set_at(marked, i);

		if (!met[i] && !damage_is_known(store, &digest) && is_missing(store, &digest))
			damage_note(store, &digest, "", "the object is missing");
	}
}

/* What fails does not keep the rest; the first error counts. */
static int sweep_unmarked(struct store *store, const struct marks *marks, uint64_t *out_swept,
                          struct err *err)
{
	const struct digest_set *marked = &marks->set;
	CLEANUP(cleanup_free) bool *met = calloc(marked->count + 1, sizeof(*met));
	struct err later;
	uint64_t lists;
	int failed;

	if (!met)
		return err_set_sys(err, ENOMEM, "list of %zu objects", marked->count);
	failed = gc_sweep(store->layout.objects, marked, met, out_swept, err);
	note_missing(store, marked, met);
	if (gc_sweep(store->layout.blocks, marked, NULL, &lists, failed ? &later : err))
		failed = -1;
	if (damage_sweep(store, marked, failed ? &later : err))
		failed = -1;
	(void)pthread_mutex_lock(&store->mutex);
	store->objects = marked->count;
	store->object_bytes = marks->bytes;
	(void)pthread_mutex_unlock(&store->mutex);
	return failed;
}

/* The caller holds sweeping. */
static int sweep(struct store *store, bool *out_whole, uint64_t *out_swept, struct err *err)
{
	CLEANUP(marks_release) struct marks marked = { .bytes = 0 };
	struct err later;
	int failed;

	if (mark_views(store, &marked, err) || mark_releases(store, &marked, out_whole, err))
		return -1;
	if (!*out_whole)
		return 0;
	failed = sweep_unmarked(store, &marked, out_swept, err);
	return proof_sweep(store, &marked.manifests, failed ? &later : err) ? -1 : failed;
}

int store_collect(struct store *store, uint64_t *out_swept, struct err *err)
{
	bool is_whole = false;
	int failed;

	*out_swept = 0;
	(void)store_expire_views(store);
	store->is_sweep_held = store->has_broken_release;
	if (store->has_broken_release)
		return 0;
	if (store->is_unsettled)
		return err_set(err, ERR_IO,
		               "nothing is swept while a change of the releases is not durable");
	(void)pthread_mutex_lock(&store->sweeping);
	failed = sweep(store, &is_whole, out_swept, err);
	(void)pthread_mutex_unlock(&store->sweeping);
	store->is_sweep_held = !failed && !is_whole;
	store->layout.trusts_objects = !failed && is_whole && !store->has_lost_sync;
	return failed;
}

bool store_collect_was_held(const struct store *store)
{
	return store->is_sweep_held;
}
