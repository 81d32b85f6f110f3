/*
 * Release files: releases/<tag>.mtree, one tag's content in mtree(5) format,
 * which libarchive's bsdtar reads: `contents=` names the object, relative to
 * the store's folder, so bsdtar alone can rebuild the archive. Comment lines
 * in front say where the release came from; the last line holds the SHA-256 of
 * all before it, so that a damaged file is known as such. Entries come in the
 * order of path_order.h; each folder has one. release_reader.h reads them.
 */
#ifndef SPECMAN_STORAGE_RELEASE_H
#define SPECMAN_STORAGE_RELEASE_H

#include <stdbool.h>

#include "base/err.h"
#include "layout.h"
#include "storage.h"
#include "tree.h"

#define RELEASE_ROOT_LINE ". type=dir mode=0755"
#define RELEASE_END_MARK  "# end sha256:"

enum {
	RELEASE_NAME_SIZE = STORE_TAG_SIZE + 6,
	RELEASE_END_BYTES = sizeof(RELEASE_END_MARK) - 1 + 64 + 1, /* of the last line */
};

/* The name in releases/ of a tag's file. Returns name. */
char *release_name(const char *tag, char name[static RELEASE_NAME_SIZE]);

/* Whether a tag can be a release's: what a registry allows, and is the name of a file. */
bool release_is_name(const char *tag);

/* The tag of a name in releases/ ("" when it is none). */
void release_tag(const char *name, char out_tag[static STORE_TAG_SIZE]);

/*
 * Write a tree as the release `info` (all of whose fields but files and bytes
 * are given; those are set). On return it is committed and durable; the
 * objects must be so before.
 */
MUST_CHECK int release_write(const struct layout *layout, const struct tree *tree,
                             struct store_release *info, struct err *err);

/*
 * The same with the entries of the release of another tag, which may be the
 * one that is replaced. Errors: those of release_read besides.
 */
MUST_CHECK int release_copy(const struct layout *layout, const char *from,
                            struct store_release *info, struct err *err);

/* Called for each entry, parents first. */
typedef int release_visitor(void *ctx, const char *path, const struct tree_item *item,
                            struct err *err);

/*
 * Read a tag's release, visit its entries, check its hash: what was visited
 * counts only on success. ERR_NOT_FOUND when there is none, ERR_FORMAT when it
 * is damaged. visit may be NULL.
 */
MUST_CHECK int release_read(const struct layout *layout, const char *tag,
                            struct store_release *out_info, release_visitor *visit, void *ctx,
                            struct err *err);

/*
 * Remove the files of these tags and make that durable. Files that are not
 * there are passed over; *out_removed counts the others, also on an error.
 */
MUST_CHECK int release_remove(const struct layout *layout, const char *const *tags, size_t count,
                              size_t *out_removed, struct err *err);

/*
 * The tags of all release files in overlay order, as a heap array of heap
 * strings; release_tags_free frees it.
 */
MUST_CHECK int release_tags(const struct layout *layout, char ***out_tags, size_t *out_count,
                            struct err *err);
void release_tags_free(char **tags, size_t count);

#endif
