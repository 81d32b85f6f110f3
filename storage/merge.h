/*
 * Laying releases over one another: one pass over all of them, each read in
 * the order of path_order.h, without a tree in memory.
 *
 * Of one path's entries that of the newest release counts. A file hides what
 * older releases have below its path, also when a still newer one has a folder
 * there: the outcome is that of unpacking one release after the other.
 */
#ifndef SPECMAN_STORAGE_MERGE_H
#define SPECMAN_STORAGE_MERGE_H

#include "base/err.h"
#include "layout.h"
#include "storage.h"
#include "view.h"

/* Releases that are merged at once: so many files are open. More are merged in several turns. */
enum { MERGE_MAX = 128 };

/* Told once a path, respectively a release. */
struct merge_observer {
	void (*conflict)(void *ctx, const char *path,
	                 const char *tag); /* file and folder; tag won */
	/* It has a .specman, which is left out; NULL: that is kept like all else. */
	void (*reserved)(void *ctx, const char *tag);
	void *ctx;
};

/* What becomes of one release. */
struct merge_part {
	const char *tag;
	struct store_release info; /* set on success */
	uint64_t fingerprint;      /* set on success; see release_reader.h */
};

/*
 * Lay `count` releases over one another, the oldest first; entries get the
 * index of their part. The first `laid` parts are not read: the view `below`
 * has them already, in the same order (NULL and 0: there is none). On an error
 * (those of release_reader.h) *out_failed is the part that it is about, or `count`.
 */
MUST_CHECK struct view_builder *merge(const struct layout *layout, const struct store_view *below,
                                      size_t laid, struct merge_part *parts, size_t count,
                                      const struct merge_observer *observer, size_t *out_failed,
                                      struct err *err);

#endif
