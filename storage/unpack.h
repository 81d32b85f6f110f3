/*
 * Unpacking: from an archive file to objects and a tree. tar in its dialects
 * and zip, plain or packed with gzip, xz or zstd, by libarchive; what is
 * refused and what is limited is the policy of this module (see storage.h,
 * struct store_limits, and path.h).
 */
#ifndef SPECMAN_STORAGE_UNPACK_H
#define SPECMAN_STORAGE_UNPACK_H

#include "base/cancel.h"
#include "base/err.h"
#include "layout.h"
#include "storage.h"
#include "tree.h"

/*
 * Read the archive from fd (a regular file, read from its start), put each
 * file's content into objects/ and each path into a new tree, links resolved.
 * ERR_FORMAT and ERR_LIMIT name the entry at fault; ERR_CANCELLED between two
 * writes. Objects written before an error stay, for the next sweep. NULL on error.
 */
MUST_CHECK struct tree *unpack(int fd, const struct layout *layout,
                               const struct store_limits *limits, const struct cancel *cancel,
                               struct err *err);

#endif
