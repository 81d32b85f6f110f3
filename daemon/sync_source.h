/*
 * From where rounds of syncing take releases: the client of the repository that
 * flags and secret name, made anew when what it was made from changes.
 */
#ifndef SPECMAN_SYNC_SOURCE_H
#define SPECMAN_SYNC_SOURCE_H

#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "config.h"
#include "oci/oci.h"
#include "sync_trouble.h"

/* The first three are borrowed. */
struct sync_source {
	const struct config *config;
	const struct cancel *cancel;
	struct sync_trouble *trouble;
	struct oci_client *client;     /* NULL until there is a registry to ask */
	uint64_t seen;                 /* fingerprint of what the client was made from */
	char name[STATUS_SOURCE_SIZE]; /* of the repository itself, before its mirrors; "" before */
};

/*
 * See to it that the client is the one that flags and secret name now; it lives, with its
 * connections and tokens, until they change. ERR_NOT_FOUND: there is no secret yet.
 */
MUST_CHECK int sync_source_renew(struct sync_source *source, struct err *err);

/* A round got through: what sources did not fail with any more is over, which is told of the
 * repository itself; a mirror may not have been asked. */
void sync_source_sweep(struct sync_source *source);

/* The next sync_source_renew makes a client in any case. */
void sync_source_drop(struct sync_source *source);

#endif
