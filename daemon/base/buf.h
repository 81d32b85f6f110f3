/*
 * A byte buffer that grows up to a limit and always ends in NUL.
 *
 *	CLEANUP(buf_release) struct buf b = BUF_INIT(64 * 1024);
 *	if (buf_add(&b, bytes, n, err))
 *		return -1;
 */
#ifndef SPECMAN_BASE_BUF_H
#define SPECMAN_BASE_BUF_H

#include <stddef.h>

#include "base/err.h"

struct buf {
	char *data;  /* NULL until the first byte; else data[size] is NUL */
	size_t size; /* bytes in use */
	size_t room; /* bytes allocated */
	size_t max;  /* bytes that may come to be in use */
};

#define BUF_INIT(limit)                                                                            \
	{                                                                                          \
		.data = NULL, .size = 0, .room = 0, .max = (limit)                                 \
	}

void buf_release(struct buf *buf);
void buf_clear(struct buf *buf);

/* Append. Errors: ERR_LIMIT past max, ERR_IO without memory; buf is then as before. */
MUST_CHECK int buf_add(struct buf *buf, const void *bytes, size_t size, struct err *err);
MUST_CHECK int buf_addf(struct buf *buf, struct err *err, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* The content as a string ("" when empty); owned by buf, valid until it changes. */
const char *buf_text(const struct buf *buf);

/* Give the content away as a heap string; buf is empty then. NULL without memory. */
char *buf_steal(struct buf *buf);

#endif
