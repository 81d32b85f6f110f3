/* Refused manifests; see refusals.h. */
#include "refusals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/oci.h"

enum { REFUSALS_MAX = 10000 };

struct refusal {
	char tag[OCI_TAG_SIZE];
	struct digest manifest;
};

void refusals_release(struct refusals *refusals)
{
	free(refusals->at);
	*refusals = (struct refusals){ .at = NULL };
}

static struct refusal *find(const struct refusals *refusals, const char *tag)
{
	for (size_t i = 0; i < refusals->count; i++)
		if (!strcmp(refusals->at[i].tag, tag))
			return &refusals->at[i];
	return NULL;
}

void refusals_add(struct refusals *refusals, const char *tag, const struct digest *manifest)
{
	struct refusal *refusal = find(refusals, tag);

	if (!refusal) {
		struct refusal *more;

		if (refusals->count == REFUSALS_MAX)
			return; /* it is only downloaded once more */
		more = realloc(refusals->at, (refusals->count + 1) * sizeof(*more));
		if (!more)
			return;
		refusals->at = more;
		refusal = &more[refusals->count++];
		(void)snprintf(refusal->tag, sizeof(refusal->tag), "%s", tag);
	}
	refusal->manifest = *manifest;
}

bool refusals_has(const struct refusals *refusals, const char *tag, const struct digest *manifest)
{
	const struct refusal *refusal = find(refusals, tag);

	return refusal && digest_equal(&refusal->manifest, manifest);
}
