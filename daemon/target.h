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
	bool has_slash;    /* it ended in a slash */
	const char *query; /* in what was parsed, without the `?`; NULL: there is none */
	size_t query_length;
};

/*
 * Cut query and fragment off, percent-decode once, merge slashes, resolve "."
 * and ".." (RFC 3986, section 5.2.4). Origin-form and absolute-form. ERR_FORMAT
 * for a blank or control character, a bad escape, a NUL or a path that leaves
 * the root (400), ERR_LIMIT when it is too long (414).
 */
MUST_CHECK int target_parse(const char *raw, struct target *out_target, struct err *err);

/* Append a decoded path, percent-encoded for a URL (slashes stay). */
MUST_CHECK int target_encode(struct buf *text, const char *path, struct err *err);

/* Append a query as it came, but for what may not stand in a URL. */
MUST_CHECK int target_encode_query(struct buf *text, const char *query, size_t length,
                                   struct err *err);

#endif
