/* Views; see view.h and storage.h. */
#include "view.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct store_view {
	struct store_entry *entries; /* [0] is the root */
	size_t count;
	char *names;
	struct store_release *releases;
	size_t release_count;
	char id[DIGEST_TEXT_SIZE];
	atomic_uint references;
	struct store_view *next;
	void (*on_last)(void *ctx, struct store_view *view);
	void *ctx;
};

static void view_free(struct store_view *view)
{
	free(view->entries);
	free(view->names);
	free(view->releases);
	free(view);
}

DEFINE_CLEANUP(cleanup_view, struct store_view, view_free);
DEFINE_CLEANUP(cleanup_hasher, struct hasher, hasher_free);

static int name_view(struct store_view *view, struct err *err)
{
	CLEANUP(cleanup_hasher) struct hasher *hasher = hasher_new(DIGEST_SHA256, err);
	struct digest digest;

	if (!hasher)
		return -1;
	for (size_t i = 0; i < view->release_count; i++) {
		const struct store_release *release = &view->releases[i];
		char manifest[DIGEST_TEXT_SIZE];

		(void)digest_format(&release->manifest, manifest);
		if (hasher_add(hasher, release->tag, strlen(release->tag) + 1, err) ||
		    hasher_add(hasher, manifest, strlen(manifest) + 1, err))
			return -1;
	}
	if (hasher_end(hasher, &digest, err))
		return -1;
	(void)digest_hex(&digest, view->id);
	return 0;
}

static struct store_entry entry_of(const struct tree *tree, uint32_t node, char **names)
{
	const struct tree_item *item = tree_item(tree, node);
	const char *name = tree_name(tree, node);
	size_t size = strlen(name) + 1;
	struct store_entry entry = {
		.name = *names,
		.size = item->size,
		.mtime = item->mtime,
		.content = item->content,
		.twin = item->twin,
		.twin_size = item->twin_size,
		.release = item->release,
		.is_folder = item->kind == TREE_FOLDER,
	};

	memcpy(*names, name, size);
	*names += size;
	return entry;
}

/* Breadth first: nodes[] is both the queue and the map from entry to tree node. */
static int flatten(struct store_view *view, const struct tree *tree, uint32_t *nodes,
                   struct err *err)
{
	char *names = view->names;

	nodes[0] = TREE_ROOT;
	view->entries[0] = entry_of(tree, TREE_ROOT, &names);
	view->count = 1;
	for (size_t i = 0; i < view->count; i++) {
		CLEANUP(cleanup_free) uint32_t *children = NULL;
		size_t count;

		if (!view->entries[i].is_folder)
			continue;
		if (tree_children(tree, nodes[i], &children, &count, err))
			return -1;
		view->entries[i].first_child = (uint32_t)view->count;
		view->entries[i].child_count = (uint32_t)count;
		for (size_t j = 0; j < count; j++) {
			nodes[view->count] = children[j];
			view->entries[view->count++] = entry_of(tree, children[j], &names);
		}
	}
	return 0;
}

struct store_view *view_new_take(const struct tree *tree, struct store_release *releases,
                                 size_t release_count,
                                 void (*on_last)(void *ctx, struct store_view *view), void *ctx,
                                 struct err *err)
{
	CLEANUP(cleanup_view) struct store_view *view = calloc(1, sizeof(*view));
	CLEANUP(cleanup_free) uint32_t *nodes = malloc(tree_count(tree) * sizeof(*nodes));
	size_t bytes = 0;

	for (uint32_t i = 0; i < tree_count(tree); i++)
		bytes += strlen(tree_name(tree, i)) + 1;
	if (view) {
		view->entries = calloc(tree_count(tree), sizeof(*view->entries));
		view->names = malloc(bytes);
	}
	if (!view || !nodes || !view->entries || !view->names) {
		(void)err_set_sys(err, ENOMEM, "view of %zu entries", tree_count(tree));
		return NULL;
	}
	if (flatten(view, tree, nodes, err))
		return NULL;
	view->releases = releases;
	view->release_count = release_count;
	if (name_view(view, err)) {
		view->releases = NULL; /* still the caller's */
		return NULL;
	}
	view->references = 1;
	view->on_last = on_last;
	view->ctx = ctx;
	return STEAL(view);
}

void view_ref(struct store_view *view)
{
	atomic_fetch_add(&view->references, 1);
}

void store_view_put(struct store_view *view)
{
	if (!view || atomic_fetch_sub(&view->references, 1) != 1)
		return;
	view->on_last(view->ctx, view);
	view_free(view);
}

const struct store_entry *view_entries(const struct store_view *view, size_t *out_count)
{
	*out_count = view->count;
	return view->entries;
}

struct store_view **view_next(struct store_view *view)
{
	return &view->next;
}

size_t store_view_release_count(const struct store_view *view)
{
	return view->release_count;
}

const struct store_release *store_view_release(const struct store_view *view, size_t index)
{
	return &view->releases[index];
}

const char *store_view_id(const struct store_view *view)
{
	return view->id;
}

const struct store_entry *store_view_child(const struct store_view *view,
                                           const struct store_entry *folder, size_t number)
{
	return &view->entries[folder->first_child + number];
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
