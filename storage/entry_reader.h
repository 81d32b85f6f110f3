/*
 * The entries of an archive file, one after another: tar in its dialects and
 * zip, by libarchive, in memory that is bounded (see also decoder.h): what stands
 * before a content may have 1 MiB (a map of a sparse file takes 20 times that in
 * memory), a zip archive's list of files 256 bytes for each entry that limits
 * allow. A zip archive's entries are stored, or packed by deflate or bzip2:
 * libarchive gives the other ways what memory they ask for (PPMd 256 MiB, LZMA
 * and xz 4 GiB).
 *
 * Names are bytes as they are, but for those that a zip archive says to be UTF-8
 * (APPNOTE.TXT section 4.4.4, bit 11, and section 4.6.9): they are that, or
 * refused, and in composed form (NFC).
 *
 * For one thread, from its making to its freeing: its locale is another one
 * meanwhile.
 */
#ifndef SPECMAN_STORAGE_ENTRY_READER_H
#define SPECMAN_STORAGE_ENTRY_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <archive_entry.h>

#include "base/cancel.h"
#include "base/err.h"
#include "proven.h"
#include "storage.h"

struct entry_reader;

/*
 * Read from fd, of which file is the proven form. All is borrowed; path is the
 * caller's name of the entry at hand, "" before the first, which errors tell.
 * ERR_FORMAT, ERR_IO, ERR_DIGEST.
 */
MUST_CHECK struct entry_reader *entry_reader_new(int fd, struct proven *file,
                                                 const struct store_limits *limits,
                                                 const struct cancel *cancel, const char *path,
                                                 struct err *err);
/* NULL is fine. */
void entry_reader_free(struct entry_reader *reader);

/*
 * The next entry, which has a name, valid until the next call: 1, or 0 at the
 * end, once all checksums behind it are looked at; -1: ERR_FORMAT, ERR_LIMIT,
 * ERR_IO, ERR_DIGEST, ERR_CANCELLED.
 */
MUST_CHECK int entry_reader_next(struct entry_reader *reader, struct archive_entry **out_entry,
                                 struct err *err);

/* The next bytes of the entry's content, valid until the next call, and where in it they stand: 1,
 * or 0 at its end; -1 as above. */
MUST_CHECK int entry_reader_block(struct entry_reader *reader, const void **out_bytes,
                                  size_t *out_size, uint64_t *out_offset, struct err *err);

/* Whether a content may end in a gap, as one of a sparse file may. */
bool entry_reader_has_gaps(const struct entry_reader *reader);

#endif
