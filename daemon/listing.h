/* The page that lists a folder, for browsers; works without script. */
#ifndef SPECMAN_LISTING_H
#define SPECMAN_LISTING_H

#include "base/buf.h"
#include "storage/storage.h"

enum { LISTING_MAX_BYTES = 256 * 1024 * 1024 };

/* Append the HTML of a folder at `path` (decoded, as in struct target). ERR_LIMIT past buf's limit.
 */
MUST_CHECK int listing_html(struct buf *page, const struct store_view *view,
                            const struct store_entry *folder, const char *path, struct err *err);

#endif
