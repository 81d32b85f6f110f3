/*
 * The listing of a folder: a page for browsers that works without script, or
 * JSON as nginx' autoindex writes it. It is made as the client takes it, so a
 * folder of a million files costs no more memory than one of ten.
 */
#ifndef SPECMAN_LISTING_H
#define SPECMAN_LISTING_H

#include <stdbool.h>
#include <stddef.h>

#include "storage/storage.h"

enum listing_key { LISTING_NAME, LISTING_SIZE, LISTING_DATE };

struct listing_order {
	enum listing_key by;
	bool is_descending;
};

/* From `sort=name|size|date` and `order=asc|desc` of a query; what is not known is left out. */
struct listing_order listing_order(const char *query, size_t length);

enum { LISTING_SORT_MAX = 20 * 1000 };

struct listing;

/*
 * List a folder of a view, which the listing takes over, also on failure
 * (NULL). `path` is what a browser sees, decoded, without slashes at its ends;
 * it is copied. Folders come first. A folder of more than LISTING_SORT_MAX
 * entries is in the order of names whatever is asked.
 */
MUST_CHECK struct listing *listing_new_take(struct store_view *view,
                                            const struct store_entry *folder, const char *path,
                                            bool is_json, const struct listing_order *order,
                                            struct err *err);
void listing_free(struct listing *listing);

/* The next bytes; *out_size is 0 at the end only. ERR_IO without memory. */
MUST_CHECK int listing_read(struct listing *listing, char *bytes, size_t size, size_t *out_size,
                            struct err *err);

#endif
