/*
 * What the body of a webhook says: the envelope of events of distribution
 * (application/vnd.docker.distribution.events.v1+json), or Harbor's. Nothing of it
 * is believed: it is for a line in the log, and to see that it tells of pulls alone,
 * which change nothing. (A registry that tells of pulls tells of specman's own, too.)
 */
#ifndef SPECMAN_HOOK_BODY_H
#define SPECMAN_HOOK_BODY_H

#include <stdbool.h>
#include <stddef.h>

#include "oci/oci.h"

struct hook_news {
	const char *sender; /* "distribution", "Harbor", or "" for what is neither */
	size_t events;
	bool is_only_pulls;
	/* Of the first event that is no pull; "" where it names none that could be: */
	char repository[OCI_NAME_SIZE];
	char tag[OCI_TAG_SIZE];
};

/* Any bytes. */
void hook_body_read(const char *body, size_t size, struct hook_news *out_news);

#endif
