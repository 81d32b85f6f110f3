/*
 * What an archive is packed with: gzip, xz or zstd, undone piece by piece in
 * memory that is bounded. How much of what it wrote last an unpacker has to keep
 * (the window, or dictionary) is the archive's word, up to 4 GiB, at each block of
 * xz and each frame of zstd: past DECODER_WINDOW_MAX it is refused, before
 * anything is allocated for it.
 *
 * One thread at a time.
 */
#ifndef SPECMAN_STORAGE_DECODER_H
#define SPECMAN_STORAGE_DECODER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* What `zstd --ultra -22` and `zstd --long` want; `xz -9` is content with half of it. */
enum { DECODER_WINDOW_LOG_MAX = 27, DECODER_WINDOW_MAX = 1 << DECODER_WINDOW_LOG_MAX };

enum decoder_format {
	DECODER_GZIP, /* RFC 1952; several members in a row are one content, zeros may follow */
	DECODER_XZ,   /* several streams in a row are one content */
	DECODER_ZSTD, /* RFC 8878; several frames in a row are one content */
};

/* Where it stands: decoder_run moves both ends on. */
struct decoding {
	const unsigned char *in;
	size_t in_size;
	unsigned char *out;
	size_t out_size;
	bool is_last; /* nothing comes behind `in` */
};

struct decoder;

MUST_CHECK struct decoder *decoder_new(enum decoder_format format, struct err *err);
/* NULL is fine. */
void decoder_free(struct decoder *decoder);

/*
 * Unpack what is in `in`, or as much of it as `out` has room for (at least one
 * byte). *out_end says that all is done: every checksum was looked at, and
 * nothing follows. ERR_FORMAT for what is broken, cut off or followed by other
 * bytes; ERR_LIMIT for a window that is too large; ERR_IO without memory.
 */
MUST_CHECK int decoder_run(struct decoder *decoder, struct decoding *io, bool *out_end,
                           struct err *err);

#endif
