/* Descriptors, as manifests, indexes and layouts hold them (image-spec 1.1, descriptor.md). */
#ifndef SPECMAN_OCI_DESCRIPTOR_H
#define SPECMAN_OCI_DESCRIPTOR_H

#include <jansson.h>

#include "base/err.h"
#include "oci/oci.h"

/* Digest and size; "Properties". ERR_FORMAT when either is missing or no such thing. */
MUST_CHECK int descriptor_read(const json_t *value, struct oci_descriptor *out_descriptor,
                               struct err *err);

/* The annotation with this key, or "". */
const char *descriptor_annotation(const json_t *object, const char *key);

#endif
