/* Several parts in one answer; see multipart.h. */
#include "multipart.h"

#include <inttypes.h>

/* Longer than any head, all told. */
enum { HEADS_MAX_BYTES = RANGES_MAX * 512 };

int multipart_init(struct multipart *multipart, const struct parts *parts,
                   const struct multipart_kind *kind, struct err *err)
{
	struct buf *heads = &multipart->heads;

	multipart->parts = *parts;
	multipart->heads = (struct buf)BUF_INIT(HEADS_MAX_BYTES);
	multipart->size = 0;
	for (size_t i = 0; i < parts->count; i++) {
		const struct part *part = &parts->at[i];

		if (buf_addf(heads, err,
		             "\r\n--%s\r\nContent-Type: %s\r\nContent-Range: bytes %" PRIu64
		             "-%" PRIu64 "/%" PRIu64 "\r\n\r\n",
		             kind->boundary, kind->type, part->first,
		             part->first + part->length - 1, kind->size))
			return -1;
		multipart->head_ends[i] = heads->size;
		multipart->size += part->length;
	}
	if (buf_addf(heads, err, "\r\n--%s--\r\n", kind->boundary))
		return -1;
	multipart->head_ends[parts->count] = heads->size;
	multipart->size += heads->size;
	return 0;
}

void multipart_release(struct multipart *multipart)
{
	buf_release(&multipart->heads);
}

struct multipart_piece multipart_at(const struct multipart *multipart, uint64_t at)
{
	size_t head = 0, i = 0;

	for (;; i++) {
		size_t length = multipart->head_ends[i] - head;
		const struct part *part = &multipart->parts.at[i];

		if (at < length)
			return (struct multipart_piece){ .text = multipart->heads.data + head + at,
				                         .length = length - at };
		at -= length;
		if (at < part->length)
			return (struct multipart_piece){ .first = part->first + at,
				                         .length = part->length - at };
		at -= part->length;
		head = multipart->head_ends[i];
	}
}
