/* Pages of a repository's tags (distribution-spec, "Listing tags"). */
#ifndef SPECMAN_OCI_TAGS_H
#define SPECMAN_OCI_TAGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "oci/nameset.h"

/*
 * Whether a tag carries a signature or another attachment of a manifest:
 * "sha256-<64 hex>", alone (referrers' tag schema, which cuts those of sha512) or with .sig,
 * .att, .sbom (cosign). Such a tag is no release.
 */
bool tag_is_attachment(const char *tag);

/*
 * Add the releases' tags of one page's body to set. A tag outside the grammar is
 * left out. "tags" may be null or missing. ERR_FORMAT for another document,
 * ERR_LIMIT past LIMIT_TAGS.
 */
MUST_CHECK int tags_add_page(struct nameset *set, const char *body, size_t size, struct err *err);

#endif
