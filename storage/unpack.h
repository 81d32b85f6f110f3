/*
 * Unpacking: from an archive file to objects and a tree. tar in its dialects
 * and zip, plain or packed once with gzip, xz or zstd (entry_reader.h,
 * stream.h); what is refused and what is limited is the policy of this module
 * (see storage.h, struct store_limits, and path.h).
 *
 * An archive whose only file is an archive by its name (.tgz, .tar.gz, .tar,
 * .tar.xz, .tar.zst, .txz, .tzst, .zip) and by its first bytes stands for that
 * one: ORAS packs folders so. This goes one level deep: what the inner archive
 * holds are files, whatever they are. The limits count both levels.
 *
 * Both are read from disk again after they were verified, the inner one as an
 * object: each byte that is read is held against the digest that it had then
 * (proven.h), also what stands behind the archive's end, and before the archive
 * is blamed for anything.
 */
#ifndef SPECMAN_STORAGE_UNPACK_H
#define SPECMAN_STORAGE_UNPACK_H

#include "base/cancel.h"
#include "base/digest.h"
#include "base/err.h"
#include "layout.h"
#include "storage.h"
#include "tree.h"

/*
 * Read the archive from fd (a regular file, read from its start), which has this
 * digest, or NULL: then there is nothing to compare what is read with. Put each
 * file's content and its twin (twin.h) into objects/ and each path into a new
 * tree, links resolved. Runs threads of its own, which have ended on return.
 * ERR_FORMAT and ERR_LIMIT name the entry at fault; ERR_DIGEST: what was read
 * back from disk is not what was verified (an inner archive is in quarantine/
 * then); ERR_CANCELLED between two writes. Objects written before an error stay, for the next
 * sweep. NULL on error.
 */
MUST_CHECK struct tree *unpack(int fd, const struct digest *digest, const struct layout *layout,
                               const struct store_limits *limits, const struct cancel *cancel,
                               struct err *err);

#endif
