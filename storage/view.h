/*
 * Views: an overlay, flattened. Entries lie in one array in the order of
 * path_order.h (depth first), so that a view can be read like a release; a
 * second array of numbers has each folder's children side by side, sorted by
 * name, so that a look-up is one binary search a component. An entry costs
 * sizeof(struct store_entry), 8 bytes and its name.
 */
#ifndef SPECMAN_STORAGE_VIEW_H
#define SPECMAN_STORAGE_VIEW_H

#include <stdbool.h>

#include "base/err.h"
#include "storage.h"
#include "tree.h"

#define VIEW_ROOT 0U
#define VIEW_NONE UINT32_MAX

/* A view that is growing; it has its root from the start. */
struct view_builder;

MUST_CHECK struct view_builder *view_builder_new(struct err *err);
void view_builder_free(struct view_builder *builder);

/*
 * Add the next entry, in order, to the folder that has the number parent;
 * item->release is the index of the release that it is from. Returns its
 * number, or VIEW_NONE with ERR_IO without memory.
 */
MUST_CHECK uint32_t view_builder_add(struct view_builder *builder, uint32_t parent,
                                     const char *name, size_t length, const struct tree_item *item,
                                     struct err *err);

/* What was added, for reading in order: its folders don't know their children yet. */
const struct store_view *view_builder_view(const struct view_builder *builder);

/*
 * Make the view of what was added. It takes the builder and the heap array
 * releases over on success, and has one reference. on_last is called when the
 * last reference is put, just before the view is freed; it may be NULL.
 */
MUST_CHECK struct store_view *view_new_take(struct view_builder *builder,
                                            struct store_release *releases, size_t release_count,
                                            void (*on_last)(void *ctx, struct store_view *view),
                                            void *ctx, struct err *err);

void view_ref(struct store_view *view);

/* Take a reference unless the last one is being put right now; whether it was taken. */
bool view_ref_held(struct store_view *view);

/* All entries, the root first. */
const struct store_entry *view_entries(const struct store_view *view, size_t *out_count);

/* What it takes in memory. */
size_t view_bytes(const struct store_view *view);

/* The number of the folder that an entry, other than the root, lies in. */
uint32_t view_parent(const struct store_view *view, uint32_t entry);

/* A list of held views, kept by the store. */
struct store_view **view_next(struct store_view *view);

#endif
