/*
 * From the committed releases to the view: which of them, in which order; see
 * store.h. A release whose file is damaged is left out, and the others are laid
 * over one another without it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "lease.h"
#include "merge.h"
#include "proof.h"
#include "release.h"
#include "release_reader.h"
#include "store.h"
#include "view.h"

DEFINE_CLEANUP(cleanup_builder, struct view_builder, view_builder_free);
DEFINE_CLEANUP(cleanup_reader, struct release_reader, release_reader_free);

static bool is_same(const struct store_release *a, const struct store_release *b)
{
	return !strcmp(a->tag, b->tag) && digest_equal(&a->manifest, &b->manifest);
}

/*
 * Whether a view may name what no release names any more. Releases are in the
 * same order in both views; where they are not, a sweep too many is no harm.
 */
static bool may_owe_sweep(const struct store *store, const struct store_view *view)
{
	size_t count = store_view_release_count(store->current), at = 0;

	for (size_t i = 0; i < store_view_release_count(view); i++, at++) {
		while (at < count && !is_same(store_view_release(store->current, at),
		                              store_view_release(view, i)))
			at++;
		if (at == count)
			return true;
	}
	return false;
}

static void forget_view(void *ctx, struct store_view *view)
{
	struct store *store = ctx;
	struct store_view **at = &store->views;

	(void)pthread_mutex_lock(&store->mutex);
	while (*at != view)
		at = view_next(*at);
	*at = *view_next(view);
	store->owes_sweep = store->owes_sweep || may_owe_sweep(store, view);
	(void)pthread_mutex_unlock(&store->mutex);
}

static void tell_conflict(void *ctx, const char *path, const char *tag)
{
	store_tell(ctx, STORE_OVERLAY_CONFLICT, path, tag);
}

static void tell_reserved(void *ctx, const char *tag)
{
	store_tell(ctx, STORE_RESERVED_NAME, tag, "");
}

/* ---- which, and in which order ---- */

/* The releases of a view in the making; those in use come first, the lowest at the front. */
struct overlay {
	struct store *store;
	struct merge_part *parts;
	size_t count;
};

static int compare_seen(const void *a, const void *b)
{
	const struct merge_part *x = a, *y = b;

	if (x->info.seen_ms != y->info.seen_ms)
		return x->info.seen_ms < y->info.seen_ms ? -1 : 1;
	return store_tag_compare(x->tag, y->tag);
}

/* Only the head is read; what is wrong shows when the rest is. */
static int read_heads(struct overlay *overlay, struct err *err)
{
	for (size_t i = 0; i < overlay->count; i++) {
		CLEANUP(cleanup_reader)
		struct release_reader *reader = release_reader_open(&overlay->store->layout,
		                                                    overlay->parts[i].tag, err);

		if (!reader && err->kind != ERR_FORMAT && err->kind != ERR_NOT_FOUND)
			return -1;
		if (reader)
			overlay->parts[i].info = *release_reader_info(reader);
	}
	return 0;
}

/* Leave out what may not be served. */
static void withhold(struct overlay *overlay)
{
	size_t kept = 0;

	for (size_t i = 0; i < overlay->count; i++) {
		const struct merge_part *part = &overlay->parts[i];

		/* Without a head it is left out as damaged. */
		if (!part->info.tag[0] || proof_admits(overlay->store, &part->info))
			overlay->parts[kept++] = *part;
	}
	overlay->count = kept;
}

static int order(struct overlay *overlay, struct err *err)
{
	bool is_pushed = overlay->store->overlay == STORE_OVERLAY_PUSHED;

	if ((is_pushed || overlay->store->admits) && read_heads(overlay, err))
		return -1;
	if (overlay->store->admits)
		withhold(overlay);
	if (!is_pushed)
		return 0;
	if (overlay->count)
		qsort(overlay->parts, overlay->count, sizeof(*overlay->parts), compare_seen);
	return 0;
}

/* ---- laying them over one another ---- */

/* Leave a damaged release out; a vanished one, too, which a reader can meet. */
static int leave_out(struct overlay *overlay, size_t number, const struct err *why)
{
	struct store *store = overlay->store;

	if (number >= overlay->count || (why->kind != ERR_FORMAT && why->kind != ERR_NOT_FOUND))
		return -1;
	if (why->kind == ERR_FORMAT) {
		store->has_broken_release = true;
		store_tell(store, STORE_RELEASE_BROKEN, overlay->parts[number].tag, why->msg);
	}
	overlay->count--;
	memmove(&overlay->parts[number], &overlay->parts[number + 1],
	        (overlay->count - number) * sizeof(*overlay->parts));
	return 0;
}

/*
 * How many releases of those at the front are the current view's, all of it and
 * unchanged: a new release that comes on top is laid over the view then, and
 * nothing else is read.
 */
static size_t count_laid(struct overlay *overlay)
{
	struct store *store = overlay->store;
	size_t count = store->current ? store_view_release_count(store->current) : 0;

	if (count > overlay->count || store->overlay == STORE_OVERLAY_SINGLE)
		return 0;
	for (size_t i = 0; i < count; i++) {
		const struct store_release *laid = store_view_release(store->current, i);
		struct merge_part *part = &overlay->parts[i];

		if (strcmp(laid->tag, part->tag) != 0 ||
		    !known_is_unchanged(store, laid, &part->fingerprint))
			return 0;
		part->info = *laid;
	}
	return count;
}

static struct view_builder *lay(struct overlay *overlay, struct err *err)
{
	const struct merge_observer observer = { tell_conflict, tell_reserved, overlay->store };
	bool is_single = overlay->store->overlay == STORE_OVERLAY_SINGLE;

	for (;;) {
		size_t first = is_single && overlay->count ? overlay->count - 1 : 0, failed;
		size_t done = count_laid(overlay);
		struct view_builder *laid = merge(
			&overlay->store->layout, done ? overlay->store->current : NULL, done,
			overlay->parts + first, overlay->count - first, &observer, &failed, err);

		if (laid) {
			overlay->parts += first;
			overlay->count -= first;
			return laid;
		}
		if (leave_out(overlay, first + failed, err)) {
			if (first + failed < overlay->count)
				(void)err_context(err, "load release %s",
				                  overlay->parts[first + failed].tag);
			return NULL;
		}
	}
}

/* Make the view of what was laid over one another; it is held by the store then. */
static struct store_view *make_view(struct store *store, struct view_builder *laid,
                                    const struct merge_part *parts, size_t count, struct err *err)
{
	CLEANUP(cleanup_free) struct store_release *releases = calloc(count + 1, sizeof(*releases));
	struct store_view *view;

	if (!releases) {
		(void)err_set_sys(err, ENOMEM, "list of releases");
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		releases[i] = parts[i].info;
	view = view_new_take(laid, releases, count, forget_view, store, err);
	if (!view)
		return NULL;
	releases = NULL;
	(void)pthread_mutex_lock(&store->mutex);
	*view_next(view) = store->views;
	store->views = view;
	(void)pthread_mutex_unlock(&store->mutex);
	return view;
}

static struct store_view *build(struct overlay *overlay, struct err *err)
{
	CLEANUP(cleanup_builder) struct view_builder *laid = NULL;
	struct store_view *view;

	overlay->store->has_broken_release = false;
	if (order(overlay, err))
		return NULL;
	laid = lay(overlay, err);
	if (!laid)
		return NULL;
	for (size_t i = 0; i < overlay->count; i++)
		known_note(overlay->store, &overlay->parts[i].info, overlay->parts[i].fingerprint);
	view = make_view(overlay->store, laid, overlay->parts, overlay->count, err);
	if (view)
		laid = NULL;
	return view;
}

static struct store_view *build_of(struct store *store, char **tags, size_t count, struct err *err)
{
	CLEANUP(cleanup_free) struct merge_part *parts = calloc(count + 1, sizeof(*parts));
	struct overlay overlay = { store, parts, count };

	if (!parts) {
		(void)err_set_sys(err, ENOMEM, "list of releases");
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		parts[i].tag = tags[i];
	return build(&overlay, err);
}

int overlay_publish(struct store *store, struct err *err)
{
	struct store_view *view;
	char **tags;
	size_t count;

	leases_trim(store);
	if (release_tags(&store->layout, &tags, &count, err))
		return -1;
	view = build_of(store, tags, count, err);
	release_tags_free(tags, count);
	if (!view)
		return -1;
	leases_swap_take(store, view);
	release_views_prune(store);
	store->is_stale = false;
	return 0;
}

static void leave_reserved_out(void *ctx, const char *tag)
{
	(void)ctx;
	(void)tag;
}

struct store_view *overlay_of(struct store *store, const char *tag, bool has_reserved,
                              struct err *err)
{
	const struct merge_observer nobody = { .reserved = has_reserved ? NULL
		                                                        : leave_reserved_out };
	struct merge_part part = { .tag = tag };
	CLEANUP(cleanup_builder) struct view_builder *laid = NULL;
	struct store_view *view;
	size_t failed;

	if (!release_is_name(tag)) {
		(void)err_set(err, ERR_NOT_FOUND, "there is no release \"%.128s\"", tag);
		return NULL;
	}
	laid = merge(&store->layout, NULL, 0, &part, 1, &nobody, &failed, err);
	if (!laid)
		return NULL;
	view = make_view(store, laid, &part, 1, err);
	if (view)
		laid = NULL;
	return view;
}

struct store_view *store_view_of(struct store *store, const char *tag, struct err *err)
{
	return overlay_of(store, tag, true, err);
}
