/* Views; see view.h and storage.h. */
#include "view.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "pool.h"

_Static_assert(sizeof(struct store_entry) + 2 * sizeof(uint32_t) <= 160,
               "an entry's memory, but for its name, is bounded");

struct store_view {
	struct store_entry *entries; /* [0] is the root */
	size_t count;
	uint32_t *parents;  /* of each entry */
	uint32_t *children; /* numbers of entries, folder by folder */
	struct pool names;
	struct store_release *releases;
	size_t release_count;
	uint64_t files;
	uint64_t bytes; /* of all files */
	char id[DIGEST_TEXT_SIZE];
	atomic_uint references;
	struct store_view *next;
	void (*on_last)(void *ctx, struct store_view *view);
	void *ctx;
};

static void view_free(struct store_view *view)
{
	pool_release(&view->names);
	free(view->entries);
	free(view->parents);
	free(view->children);
	free(view->releases);
	free(view);
}

DEFINE_CLEANUP(cleanup_hasher, struct hasher, hasher_free);

/* ---- building ---- */

struct view_builder {
	struct store_view *view;
	size_t room; /* entries */
};

void view_builder_free(struct view_builder *builder)
{
	if (!builder)
		return;
	if (builder->view)
		view_free(builder->view);
	free(builder);
}

DEFINE_CLEANUP(cleanup_builder, struct view_builder, view_builder_free);

/* Both arrays to this many entries; false without memory, and nothing is lost then. */
static bool resize(struct view_builder *builder, size_t room)
{
	struct store_view *view = builder->view;
	struct store_entry *entries = realloc(view->entries, room * sizeof(*entries));
	uint32_t *parents;

	if (entries)
		view->entries = entries;
	parents = realloc(view->parents, room * sizeof(*parents));
	if (parents)
		view->parents = parents;
	if (!entries || !parents)
		return false;
	builder->room = room;
	return true;
}

uint32_t view_builder_add(struct view_builder *builder, uint32_t parent, const char *name,
                          size_t length, const struct tree_item *item, struct err *err)
{
	struct store_view *view = builder->view;
	const char *kept = pool_keep(&view->names, name, length);

	if (!kept || view->count >= VIEW_NONE ||
	    ((!view->entries || view->count == builder->room) &&
	     !resize(builder, view->count * 2 + 64))) {
		(void)err_set_sys(err, ENOMEM, "view of %zu entries", view->count);
		return VIEW_NONE;
	}
	view->entries[view->count] = (struct store_entry){
		.name = kept,
		.size = item->size,
		.mtime = item->mtime,
		.twin_size = item->twin_size,
		.release = item->release,
		.mode = item->mode,
		.is_folder = item->kind == TREE_FOLDER,
	};
	memcpy(view->entries[view->count].content, item->content.bytes, STORE_CONTENT_BYTES);
	memcpy(view->entries[view->count].twin, item->twin.bytes, STORE_CONTENT_BYTES);
	view->parents[view->count] = parent;
	if (view->count)
		view->entries[parent].child_count++;
	if (item->kind == TREE_FILE) {
		view->files++;
		view->bytes += item->size;
	}
	return (uint32_t)view->count++;
}

struct view_builder *view_builder_new(struct err *err)
{
	static const struct tree_item root = { .kind = TREE_FOLDER, .mode = 0755 };
	CLEANUP(cleanup_builder) struct view_builder *builder = calloc(1, sizeof(*builder));

	if (builder)
		builder->view = calloc(1, sizeof(*builder->view));
	if (!builder || !builder->view) {
		(void)err_set_sys(err, ENOMEM, "view");
		return NULL;
	}
	if (view_builder_add(builder, VIEW_ROOT, "", 0, &root, err) == VIEW_NONE)
		return NULL;
	return STEAL(builder);
}

const struct store_view *view_builder_view(const struct view_builder *builder)
{
	return builder->view;
}

/* Give each folder its part of `children`; they come in order, since the entries do. */
static int place_children(struct store_view *view, struct err *err)
{
	uint32_t first = 0;

	view->children = malloc(view->count * sizeof(*view->children));
	if (!view->children)
		return err_set_sys(err, ENOMEM, "view of %zu entries", view->count);
	for (size_t i = 0; i < view->count; i++) {
		view->entries[i].first_child = first;
		first += view->entries[i].child_count;
		view->entries[i].child_count = 0;
	}
	for (size_t i = 1; i < view->count; i++) {
		struct store_entry *folder = &view->entries[view->parents[i]];

		view->children[folder->first_child + folder->child_count++] = (uint32_t)i;
	}
	return 0;
}

static int name_view(struct store_view *view, const struct store_release *releases, size_t count,
                     struct err *err)
{
	CLEANUP(cleanup_hasher) struct hasher *hasher = hasher_new(DIGEST_SHA256, err);
	struct digest digest;

	if (!hasher)
		return -1;
	for (size_t i = 0; i < count; i++) {
		char manifest[DIGEST_TEXT_SIZE];

		(void)digest_format(&releases[i].manifest, manifest);
		if (hasher_add(hasher, releases[i].tag, strlen(releases[i].tag) + 1, err) ||
		    hasher_add(hasher, manifest, strlen(manifest) + 1, err))
			return -1;
	}
	if (hasher_end(hasher, &digest, err))
		return -1;
	(void)digest_hex(&digest, view->id);
	return 0;
}

struct store_view *view_new_take(struct view_builder *builder, struct store_release *releases,
                                 size_t release_count,
                                 void (*on_last)(void *ctx, struct store_view *view), void *ctx,
                                 struct err *err)
{
	struct store_view *view = builder->view;

	if (place_children(view, err) || name_view(view, releases, release_count, err))
		return NULL;
	(void)resize(builder, view->count); /* what stays too large is no harm */
	view->releases = releases;
	view->release_count = release_count;
	view->references = 1;
	view->on_last = on_last;
	view->ctx = ctx;
	free(builder);
	return view;
}

/* ---- in use ---- */

void view_ref(struct store_view *view)
{
	atomic_fetch_add(&view->references, 1);
}

bool view_ref_held(struct store_view *view)
{
	unsigned count = atomic_load(&view->references);

	while (count && !atomic_compare_exchange_weak(&view->references, &count, count + 1)) {
	}
	return count > 0;
}

void store_view_put(struct store_view *view)
{
	if (!view || atomic_fetch_sub(&view->references, 1) != 1)
		return;
	if (view->on_last)
		view->on_last(view->ctx, view);
	view_free(view);
}

const struct store_entry *view_entries(const struct store_view *view, size_t *out_count)
{
	*out_count = view->count;
	return view->entries;
}

size_t view_bytes(const struct store_view *view)
{
	return view->count * (sizeof(*view->entries) + 2 * sizeof(uint32_t)) + view->names.bytes +
	       view->release_count * sizeof(*view->releases);
}

uint32_t view_parent(const struct store_view *view, uint32_t entry)
{
	return view->parents[entry];
}

struct store_view **view_next(struct store_view *view)
{
	return &view->next;
}

static struct digest digest_from(const unsigned char bytes[static STORE_CONTENT_BYTES])
{
	struct digest digest = { .algorithm = DIGEST_SHA256 };

	memcpy(digest.bytes, bytes, STORE_CONTENT_BYTES);
	return digest;
}

struct digest store_content_digest(const struct store_entry *file)
{
	return digest_from(file->content);
}

struct digest store_twin_digest(const struct store_entry *file)
{
	return digest_from(file->twin);
}

size_t store_view_release_count(const struct store_view *view)
{
	return view->release_count;
}

const struct store_release *store_view_release(const struct store_view *view, size_t index)
{
	return &view->releases[index];
}

uint64_t store_view_files(const struct store_view *view, uint64_t *out_bytes)
{
	*out_bytes = view->bytes;
	return view->files;
}

void store_view_share_out(const struct store_view *view, struct store_share *out_shares)
{
	memset(out_shares, 0, view->release_count * sizeof(*out_shares));
	for (size_t i = 0; i < view->count; i++) {
		const struct store_entry *entry = &view->entries[i];

		if (entry->is_folder)
			continue;
		out_shares[entry->release].files++;
		out_shares[entry->release].bytes += entry->size;
	}
}

const char *store_view_id(const struct store_view *view)
{
	return view->id;
}

const struct store_entry *store_view_child(const struct store_view *view,
                                           const struct store_entry *folder, size_t number)
{
	return &view->entries[view->children[folder->first_child + number]];
}

static int compare_component(const char *name, const char *component, size_t length)
{
	int order = strncmp(name, component, length);

	return order ? order : name[length] != '\0';
}

static const struct store_entry *find_child(const struct store_view *view,
                                            const struct store_entry *folder, const char *component,
                                            size_t length)
{
	size_t low = 0, high = folder->child_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct store_entry *child = store_view_child(view, folder, middle);
		int order = compare_component(child->name, component, length);

		if (!order)
			return child;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct store_entry *store_view_find(const struct store_view *view, const char *path,
                                          size_t length)
{
	const struct store_entry *entry = &view->entries[0];

	while (entry && length) {
		const char *slash = memchr(path, '/', length);
		size_t size = slash ? (size_t)(slash - path) : length;

		/* A name has no NUL: a component with one matches nothing. */
		if (!entry->is_folder || !size || memchr(path, '\0', size))
			return NULL;
		entry = find_child(view, entry, path, size);
		path += size;
		length -= size;
		if (length) {
			path++;
			length--;
			if (!length)
				return NULL;
		}
	}
	return entry;
}
