/*
 * A tree of files, folders and links under construction, while an archive is
 * unpacked. Paths are as path_normalise gives them.
 */
#ifndef SPECMAN_STORAGE_TREE_H
#define SPECMAN_STORAGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "storage.h"

enum tree_kind { TREE_FOLDER, TREE_FILE, TREE_LINK };

/* What stands at a path. */
struct tree_item {
	enum tree_kind kind;
	uint32_t release; /* free for the caller's use */
	uint64_t size;    /* of a file */
	int64_t mtime;
	uint16_t mode;         /* permission bits */
	struct digest content; /* of a file */
	struct digest twin;    /* of a file: its gzip form, see twin.h */
	uint64_t twin_size;    /* 0: it has none */
	const char *target;    /* of a link: where it points, relative to its folder */
};

#define TREE_ROOT 0U
#define TREE_NONE UINT32_MAX

struct tree;

/* At most max_nodes nodes. */
MUST_CHECK struct tree *tree_new(uint64_t max_nodes, struct err *err);
void tree_free(struct tree *tree);

/*
 * Put an item at a path, making the folders above it; these get the item's
 * release and mtime. A file replaces a file, or an empty folder; a folder's
 * attributes are updated. item->target is copied. Errors: ERR_FORMAT (an
 * archive that contradicts itself: the path lies below a file or a link, or is
 * a file's and a folder's), ERR_LIMIT past max_nodes, or once the targets of all
 * links come to over 128 bytes for each of these; ERR_IO without memory.
 */
MUST_CHECK int tree_put(struct tree *tree, const char *path, const struct tree_item *item,
                        struct err *err);

/* The node at a path, or TREE_NONE. Links are not followed. */
uint32_t tree_find(const struct tree *tree, const char *path);

/*
 * Turn every link into what it points at: a copy of the file or folder in the
 * tree. ERR_FORMAT names a link that leaves the archive, points at nothing, or
 * goes round in a circle or leads over more than 40 others; ERR_LIMIT past max_nodes or
 * limits->depth.
 */
MUST_CHECK int tree_resolve_links(struct tree *tree, const struct store_limits *limits,
                                  struct err *err);

/* Call fill for the item of each file. */
void tree_fill_files(struct tree *tree, void (*fill)(void *ctx, struct tree_item *item), void *ctx);

size_t tree_count(const struct tree *tree);
/* Its target is the tree's. */
struct tree_item tree_item(const struct tree *tree, uint32_t node);
const char *tree_name(const struct tree *tree, uint32_t node);

/*
 * The children of a folder, sorted by name in byte order, as a heap array for
 * the caller to free; NULL with *out_count 0 for none. -1 with ERR_IO without memory.
 */
MUST_CHECK int tree_children(const struct tree *tree, uint32_t folder, uint32_t **out_children,
                             size_t *out_count, struct err *err);

#endif
