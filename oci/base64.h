/* Base64 (RFC 4648, section 4) of bytes, in texts from outside. */
#ifndef SPECMAN_OCI_BASE64_H
#define SPECMAN_OCI_BASE64_H

#include "base/buf.h"
#include "base/err.h"

/*
 * Append the bytes that a text stands for. White space is passed over, since some
 * signers fold lines. ERR_FORMAT for another character or wrong padding.
 */
MUST_CHECK int base64_decode(const char *text, struct buf *out, struct err *err);

/* Append the text for bytes, in one line. */
MUST_CHECK int base64_encode(const void *bytes, size_t size, struct buf *out, struct err *err);

#endif
