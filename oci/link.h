/* Link headers (RFC 8288, section 3): where the next page of a list is. */
#ifndef SPECMAN_OCI_LINK_H
#define SPECMAN_OCI_LINK_H

#include "base/err.h"
#include "oci/url.h"

/*
 * The target of the first link of rel "next" in a header's value, as it stands
 * there: a heap string; NULL when there is none.
 */
MUST_CHECK char *link_next(const char *header);

/*
 * The URL of the next page: target resolved against the page's URL. It must be
 * at the page's own host (distribution-spec, "Listing tags"). A registry behind
 * a proxy that ends TLS may write "http://host/…": such a target counts as its
 * path and query. A heap string; NULL with ERR_FORMAT for another host.
 */
MUST_CHECK char *link_resolve(const char *page, const char *target, struct err *err);

#endif
