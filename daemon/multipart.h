/*
 * The content of a 206 with several parts: multipart/byteranges (RFC 9110,
 * section 14.6). What stands between the parts is written once, beforehand; the
 * bytes are the caller's.
 */
#ifndef SPECMAN_MULTIPART_H
#define SPECMAN_MULTIPART_H

#include "base/buf.h"
#include "range.h"

struct multipart {
	struct parts parts;
	struct buf heads;                 /* of all parts, one behind the other, and the end */
	size_t head_ends[RANGES_MAX + 1]; /* in heads */
	uint64_t size;                    /* of all */
};

/* What is the same for all parts of a representation. */
struct multipart_kind {
	const char *boundary; /* nothing that the content has */
	const char *type;
	uint64_t size; /* of the representation */
};

/* Release it in any case. */
MUST_CHECK int multipart_init(struct multipart *multipart, const struct parts *parts,
                              const struct multipart_kind *kind, struct err *err);
void multipart_release(struct multipart *multipart);

/* What lies at an offset below multipart->size. */
struct multipart_piece {
	const char *text; /* a head; NULL: bytes of the representation */
	uint64_t first;   /* of the representation */
	uint64_t length;
};

struct multipart_piece multipart_at(const struct multipart *multipart, uint64_t at);

#endif
