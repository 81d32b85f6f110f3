/* The artifact that `oras push` 1.0.0 makes of a manifests.tgz, byte for byte but for its date. */
#ifndef SPECMAN_OCI_ARTIFACT_H
#define SPECMAN_OCI_ARTIFACT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "oci/oci.h"

/* Its configuration, and the media type of its manifest. */
#define ARTIFACT_CONFIG "{}"
#define ARTIFACT_TYPE   "application/vnd.oci.image.manifest.v1+json"

/*
 * Append the manifest: compact JSON, the members in the order of ORAS (image-spec
 * 1.1, "Image Manifest"). created_s in seconds since 1970.
 */
MUST_CHECK int artifact_manifest(struct buf *text, const struct oci_descriptor *layer,
                                 int64_t created_s, struct err *err);

#endif
