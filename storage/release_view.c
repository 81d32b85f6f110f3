/*
 * Views of single releases, for those who ask for one whatever lies over it;
 * see storage.h. They are read from the release's file when they are asked for,
 * and a few of them are kept: to hold all would cost as much memory as there
 * are files in all releases.
 */
#include <string.h>

#include "store.h"
#include "view.h"

enum { ENTRIES_MAX = 100 * 1000 };

static bool is_of(const struct store_view *view, const struct store_release *release)
{
	const struct store_release *own = store_view_release(view, 0);

	return !strcmp(own->tag, release->tag) && digest_equal(&own->manifest, &release->manifest);
}

/* Put a view in front of the others; what falls out is returned through dropped[]. */
static size_t keep(struct store *store, struct store_view *view,
                   struct store_view *dropped[static STORE_RELEASE_VIEWS_MAX])
{
	struct store_view *before[STORE_RELEASE_VIEWS_MAX];
	size_t total, count = 1, dropped_count = 0;

	memcpy(before, store->release_views, sizeof(before));
	memset(store->release_views, 0, sizeof(before));
	store->release_views[0] = view;
	(void)view_entries(view, &total);
	for (size_t i = 0; i < STORE_RELEASE_VIEWS_MAX && before[i]; i++) {
		size_t entries;

		(void)view_entries(before[i], &entries);
		total += entries;
		if (count < STORE_RELEASE_VIEWS_MAX && total <= ENTRIES_MAX &&
		    !is_of(before[i], store_view_release(view, 0)))
			store->release_views[count++] = before[i];
		else
			dropped[dropped_count++] = before[i];
	}
	return dropped_count;
}

/* Not with the mutex held: the last reference to a view takes it. */
static void put_all(struct store_view **views, size_t count)
{
	for (size_t i = 0; i < count; i++)
		store_view_put(views[i]);
}

void store_view_ref(struct store_view *view)
{
	view_ref(view);
}

struct store_view *store_release_view_get(struct store *store, const struct store_release *release)
{
	struct store_view **views = store->release_views;
	struct store_view *found = NULL;

	(void)pthread_mutex_lock(&store->mutex);
	for (size_t i = 0; !found && i < STORE_RELEASE_VIEWS_MAX && views[i]; i++) {
		if (!is_of(views[i], release))
			continue;
		found = views[i];
		for (size_t j = i; j; j--)
			views[j] = views[j - 1];
		views[0] = found;
		view_ref(found);
	}
	(void)pthread_mutex_unlock(&store->mutex);
	return found;
}

/*
 * One that somebody holds, though it is kept no more. Without this each who waits for a large
 * release would come to hold a copy of his own, for as long as his client takes to read. (Those
 * of store_view_of have more in them, but are of stores that are open for reading only.)
 */
static struct store_view *find_held(struct store *store, const struct store_release *release)
{
	struct store_view *found = NULL;

	(void)pthread_mutex_lock(&store->mutex);
	for (struct store_view *view = store->views; view && !found; view = *view_next(view))
		if (store_view_release_count(view) == 1 && is_of(view, release) &&
		    view_ref_held(view))
			found = view;
	(void)pthread_mutex_unlock(&store->mutex);
	return found;
}

static struct store_view *read_view(struct store *store, const struct store_release *release,
                                    struct err *err)
{
	struct store_view *view = overlay_of(store, release->tag, false, err);

	if (!view || is_of(view, release))
		return view;
	store_view_put(view);
	(void)err_set(err, ERR_NOT_FOUND, "release %s was replaced", release->tag);
	return NULL;
}

struct store_view *store_release_view_load(struct store *store, const struct store_release *release,
                                           struct err *err)
{
	struct store_view *dropped[STORE_RELEASE_VIEWS_MAX];
	struct store_view *view;
	size_t count;

	/* From its file being there until it is known to the store, nothing of it may be swept. */
	(void)pthread_mutex_lock(&store->sweeping);
	view = find_held(store, release);
	if (!view)
		view = read_view(store, release, err);
	(void)pthread_mutex_unlock(&store->sweeping);
	if (!view)
		return NULL;
	view_ref(view);
	(void)pthread_mutex_lock(&store->mutex);
	count = keep(store, view, dropped);
	(void)pthread_mutex_unlock(&store->mutex);
	put_all(dropped, count);
	/* A release that went meanwhile must not be held, with its objects, for good. */
	release_views_prune(store);
	return view;
}

static bool has_release(const struct store_view *view, const struct store_release *release)
{
	for (size_t i = 0; i < store_view_release_count(view); i++) {
		const struct store_release *other = store_view_release(view, i);

		if (!strcmp(other->tag, release->tag) &&
		    digest_equal(&other->manifest, &release->manifest))
			return true;
	}
	return false;
}

void release_views_prune(struct store *store)
{
	struct store_view *dropped[STORE_RELEASE_VIEWS_MAX];
	struct store_view **views = store->release_views;
	size_t count = 0, kept = 0;

	(void)pthread_mutex_lock(&store->mutex);
	for (size_t i = 0; i < STORE_RELEASE_VIEWS_MAX && views[i]; i++) {
		if (has_release(store->current, store_view_release(views[i], 0)))
			views[kept++] = views[i];
		else
			dropped[count++] = views[i];
	}
	while (kept < STORE_RELEASE_VIEWS_MAX)
		views[kept++] = NULL;
	(void)pthread_mutex_unlock(&store->mutex);
	put_all(dropped, count);
}

void release_views_clear(struct store *store)
{
	size_t count = 0;

	while (count < STORE_RELEASE_VIEWS_MAX && store->release_views[count])
		count++;
	put_all(store->release_views, count);
}
