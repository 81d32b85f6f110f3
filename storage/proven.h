/*
 * A file that was hashed when it was written, and is read now: a download, or
 * an object with an archive in it. What a disk gives back need not be what it
 * was given, so each byte that is taken from the file is held against its digest.
 *
 * In order (proven_next to the end) the file is hashed as it is read, and what
 * was taken counts only after proven_end, which reads what is left and compares.
 * In any order (proven_index, proven_seek), as zip is read, whose list of files
 * stands at its end, that can't be: a pass before it compares the digest and
 * notes the hash of each block, with which each later read is compared. (A pass
 * afterwards would not do: it reads anew, and may well be given better bytes.)
 *
 * One thread at a time.
 */
#ifndef SPECMAN_STORAGE_PROVEN_H
#define SPECMAN_STORAGE_PROVEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/digest.h"
#include "base/err.h"

struct proven;

/*
 * All is borrowed. name is for errors' texts. Without a digest (NULL) there is
 * nothing to compare with: nothing is hashed, and the file is as it is.
 */
MUST_CHECK struct proven *proven_new(int fd, const struct digest *digest, const char *name,
                                     struct err *err);
/* NULL is fine. */
void proven_free(struct proven *proven);

/*
 * The next bytes, valid until the next call; *out_size 0 at the end. ERR_IO,
 * and after proven_index ERR_DIGEST.
 */
MUST_CHECK int proven_next(struct proven *proven, const void **out_bytes, size_t *out_size,
                           struct err *err);

/*
 * Make ready for reading in any order, before anything is read. ERR_DIGEST,
 * ERR_IO, ERR_CANCELLED; ERR_LIMIT past 64 GiB.
 */
MUST_CHECK int proven_index(struct proven *proven, const struct cancel *cancel, struct err *err);

/* After proven_index: where to read next, also behind the end. */
void proven_seek(struct proven *proven, uint64_t at);
uint64_t proven_at(const struct proven *proven);
uint64_t proven_size(const struct proven *proven);

/*
 * Whether all that was given out are the bytes of the digest: reads the file to
 * its end. ERR_DIGEST says that it changed on disk, ERR_IO, ERR_CANCELLED.
 * Nothing may be read afterwards.
 */
MUST_CHECK int proven_end(struct proven *proven, const struct cancel *cancel, struct err *err);

#endif
