/*
 * The bytes inside an archive file that is read from its start to its end:
 * gzip, xz or zstd, unpacked (decoder.h) by a thread of its own, which also
 * hashes the file (proven.h); and tar as it is. Every checksum that the format has is looked at,
 * that at the end as well, so what was taken counts only after stream_drain;
 * and after proven_end, which is the caller's, once the stream is freed.
 */
#ifndef SPECMAN_STORAGE_STREAM_H
#define SPECMAN_STORAGE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "proven.h"

enum stream_format {
	STREAM_UNKNOWN,
	STREAM_GZIP, /* RFC 1952; several members in a row are one content */
	STREAM_XZ,
	STREAM_ZSTD,
	STREAM_TAR, /* not packed */
	STREAM_ZIP, /* not for stream_new, as STREAM_UNKNOWN */
};

/* What a file begins with says what it is: so many bytes, zeros behind a shorter one. */
enum { STREAM_HEAD_BYTES = 265 };
enum stream_format stream_format_of(const unsigned char head[static STREAM_HEAD_BYTES]);

/* The same of a file. ERR_IO. */
MUST_CHECK int stream_format(int fd, enum stream_format *out_format, struct err *err);

struct stream;

/*
 * Unpack what the file holds. Past bytes_max it is ERR_LIMIT. The file is borrowed,
 * and the stream's until that is freed.
 */
MUST_CHECK struct stream *stream_new(struct proven *file, enum stream_format format,
                                     uint64_t bytes_max, struct err *err);

/* Ends the thread. NULL is fine. */
void stream_free(struct stream *stream);

/*
 * The next block, valid until the next call; *out_size 0 at the end. ERR_FORMAT
 * for what is cut off, wrong in a checksum or followed by other bytes (zeros
 * may follow gzip), ERR_LIMIT, ERR_IO.
 */
MUST_CHECK int stream_read(struct stream *stream, const void **out_block, size_t *out_size,
                           struct err *err);

/* Read to the end, for the checksums there. ERR_CANCELLED besides. */
MUST_CHECK int stream_drain(struct stream *stream, const struct cancel *cancel, struct err *err);

#endif
