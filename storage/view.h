/*
 * Views: an overlay, flattened. Entries lie in one array in breadth-first
 * order, so a folder's children are neighbours sorted by name and a look-up is
 * one binary search a component.
 */
#ifndef SPECMAN_STORAGE_VIEW_H
#define SPECMAN_STORAGE_VIEW_H

#include "base/err.h"
#include "storage.h"
#include "tree.h"

/*
 * Flatten a tree (whose items' `release` are indexes into releases). The view
 * takes the heap array releases over on success, and has one reference.
 * on_last is called when the last reference is put, just before the view is freed.
 */
MUST_CHECK struct store_view *view_new_take(const struct tree *tree, struct store_release *releases,
                                            size_t release_count,
                                            void (*on_last)(void *ctx, struct store_view *view),
                                            void *ctx, struct err *err);

void view_ref(struct store_view *view);

/* All entries, for those who mark what is in use. */
const struct store_entry *view_entries(const struct store_view *view, size_t *out_count);

/* A list of held views, kept by the store. */
struct store_view **view_next(struct store_view *view);

#endif
