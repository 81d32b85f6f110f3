/*
 * Texts from outside within HTML and JSON. What is no UTF-8, and what neither
 * may hold, becomes U+FFFD: names in an archive are any bytes.
 */
#ifndef SPECMAN_ESCAPE_H
#define SPECMAN_ESCAPE_H

#include "base/buf.h"

MUST_CHECK int escape_html(struct buf *page, const char *text, struct err *err);

/* Without the quotes around it (RFC 8259, section 7). */
MUST_CHECK int escape_json(struct buf *page, const char *text, struct err *err);

/* As it is, but for what is no UTF-8 and for control characters: for who escapes it himself. */
MUST_CHECK int escape_utf8(struct buf *page, const char *text, struct err *err);

#endif
