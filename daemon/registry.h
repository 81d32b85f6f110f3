/*
 * Where to get the repository from and as whom: flags and the mounted secret,
 * brought together into the settings of oci.
 */
#ifndef SPECMAN_REGISTRY_H
#define SPECMAN_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "config.h"
#include "oci/oci.h"

/* The repository, and behind it its mirrors in the order in which they are asked. */
struct registry {
	struct oci_settings *sources;
	size_t count;
};

/*
 * Read everything anew. The sources own their texts; registry_release frees
 * and wipes them. ERR_NOT_FOUND when neither a flag nor the secret names a
 * repository yet; ERR_CONFIG, ERR_FORMAT or ERR_IO for what can't be used. err.cause
 * is one of advice.h.
 *
 * Username, password and token of flags and secret are for the repository's
 * own host, entries of a docker config for the host that they name. CAs are
 * trusted for mirrors, too; a certificate is left unchecked for the
 * repository's host alone.
 */
MUST_CHECK int registry_load(const struct config *config, struct registry *out_registry,
                             struct err *err);
void registry_release(struct registry *registry);

/*
 * A number that changes when the secret or a file named by a flag appears,
 * changes or vanishes (the kubelet swaps a symbolic link). Reads no content.
 */
uint64_t registry_fingerprint(const struct config *config);

#endif
