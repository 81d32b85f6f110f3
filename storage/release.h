/*
 * Release files: releases/<tag>.mtree, one tag's content in mtree(5) format,
 * which libarchive's bsdtar reads: `contents=` names the object, relative to
 * the store's folder, so bsdtar alone can rebuild the archive. A comment line
 * after a file's names its compressed twin. Comment lines
 * in front say where the release came from; the last line holds the SHA-256 of
 * all before it, so that a damaged file is known as such.
 */
#ifndef SPECMAN_STORAGE_RELEASE_H
#define SPECMAN_STORAGE_RELEASE_H

#include "base/err.h"
#include "layout.h"
#include "storage.h"
#include "tree.h"

enum { RELEASE_NAME_SIZE = STORE_TAG_SIZE + 6 };

/* The name in releases/ of a tag's file. Returns name. */
char *release_name(const char *tag, char name[static RELEASE_NAME_SIZE]);

/* The tag of a name in releases/ ("" when it is none). */
void release_tag(const char *name, char out_tag[static STORE_TAG_SIZE]);

/*
 * Write a tree as the release `info` (all of whose fields but files and bytes
 * are given; those are set). On return it is committed and durable; the
 * objects must be so before.
 */
MUST_CHECK int release_write(const struct layout *layout, const struct tree *tree,
                             struct store_release *info, struct err *err);

/* Called for each entry, parents first. */
typedef int release_visitor(void *ctx, const char *path, const struct tree_item *item,
                            struct err *err);

/*
 * Read a tag's release, check its hash, visit its entries. ERR_NOT_FOUND when
 * there is none, ERR_FORMAT when it is damaged. visit may be NULL. out_info is
 * written also when the visitor fails.
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
