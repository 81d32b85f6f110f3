/*
 * The bytes inside a packed archive file: gzip, xz or zstd, unpacked by a
 * thread of its own. Every checksum that the format has is looked at, that at
 * the end as well, so what was taken counts only after stream_drain.
 */
#ifndef SPECMAN_STORAGE_STREAM_H
#define SPECMAN_STORAGE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum stream_format {
	STREAM_UNKNOWN,
	STREAM_GZIP, /* RFC 1952; several members in a row are one content */
	STREAM_XZ,
	STREAM_ZSTD,
	STREAM_TAR, /* not packed: these two are not for stream_new */
	STREAM_ZIP,
};

/* What a file begins with says what it is. ERR_IO. */
MUST_CHECK int stream_format(int fd, enum stream_format *out_format, struct err *err);

struct stream;

/* Unpack what fd holds. Past bytes_max it is ERR_LIMIT. fd is borrowed, read with pread. */
MUST_CHECK struct stream *stream_new(int fd, enum stream_format format, uint64_t bytes_max,
                                     struct err *err);

/* Ends the thread. NULL is fine. */
void stream_free(struct stream *stream);

/*
 * The next block, valid until the next call; *out_size 0 at the end. ERR_FORMAT
 * for what is cut off, wrong in a checksum or followed by other bytes (zeros
 * may follow gzip), ERR_LIMIT, ERR_IO.
 */
MUST_CHECK int stream_read(struct stream *stream, const void **out_block, size_t *out_size,
                           struct err *err);

/* Read to the end, for the checksums there. */
MUST_CHECK int stream_drain(struct stream *stream, struct err *err);

#endif
