/*
 * Which registry to ask and as whom: flags and the mounted secret, brought
 * together into the settings of oci.
 */
#ifndef SPECMAN_REGISTRY_H
#define SPECMAN_REGISTRY_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "config.h"
#include "oci/oci.h"

/*
 * Read everything anew. The settings own their texts; registry_release frees
 * and wipes them. ERR_NOT_FOUND when neither a flag nor the secret names a
 * repository yet; ERR_CONFIG, ERR_FORMAT or ERR_IO for what can't be used.
 */
MUST_CHECK int registry_load(const struct config *config, struct oci_settings *out_settings,
                             struct err *err);
void registry_release(struct oci_settings *settings);

/*
 * Append the names of the secret's keys that nobody here understands, separated
 * by spaces; never a value. A secret that is not there has none.
 */
MUST_CHECK int registry_unknown_keys(const struct config *config, struct buf *names,
                                     struct err *err);

/*
 * A number that changes when the secret or a file named by a flag appears,
 * changes or vanishes (the kubelet swaps a symbolic link). Reads no content.
 */
uint64_t registry_fingerprint(const struct config *config);

#endif
