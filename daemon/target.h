/*
 * Request targets (RFC 9112, section 3.2): from what a client sent to a path
 * that a view can look up.
 */
#ifndef SPECMAN_TARGET_H
#define SPECMAN_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum { TARGET_MAX_BYTES = 8192 };

struct target {
	char path[TARGET_MAX_BYTES]; /* decoded, no slash at either end; "" for the root */
	size_t length;
	bool has_slash; /* it ended in a slash */
};

/*
 * Percent-decode once, merge slashes, resolve "." and ".." (RFC 3986, section
 * 5.2.4). The query was cut off before. ERR_FORMAT for a bad escape, a NUL or a
 * path that leaves the root (400), ERR_LIMIT when it is too long (414).
 */
MUST_CHECK int target_parse(const char *raw, struct target *out_target, struct err *err);

/* Append a decoded path, percent-encoded for a URL (slashes stay). */
MUST_CHECK int target_encode(struct buf *text, const char *path, struct err *err);

#endif
