/*
 * Which manifests were refused for what they contain: such a release is not
 * downloaded again until its tag moves. Kept in memory alone, since another
 * version of specman, or other limits, may take what this one refuses.
 */
#ifndef SPECMAN_REFUSALS_H
#define SPECMAN_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"

struct refusal;

struct refusals {
	struct refusal *at;
	size_t count;
};

void refusals_release(struct refusals *refusals);

/* Note that this tag's content, under this manifest, is not fit to be served. */
void refusals_add(struct refusals *refusals, const char *tag, const struct digest *manifest);

/* Whether the tag was refused, and with this very manifest. */
bool refusals_has(const struct refusals *refusals, const char *tag, const struct digest *manifest);

#endif
