/*
 * Manifests and indexes (image-spec 1.1, manifest.md, image-index.md, and
 * annotations.md; 1.0's artifact.md; Docker's "Image Manifest V2, Schema 2"):
 * which descriptor of one leads on to the archive.
 */
#ifndef SPECMAN_OCI_MANIFEST_H
#define SPECMAN_OCI_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "oci/oci.h"

/* Without every type here a registry answers 404 or converts what it has. */
#define MANIFEST_ACCEPT                                                                            \
	"application/vnd.oci.image.manifest.v1+json, "                                             \
	"application/vnd.oci.image.index.v1+json, "                                                \
	"application/vnd.oci.artifact.manifest.v1+json, "                                          \
	"application/vnd.docker.distribution.manifest.v2+json, "                                   \
	"application/vnd.docker.distribution.manifest.list.v2+json"

struct manifest {
	bool is_index;                  /* chosen is then the manifest to go on with */
	struct oci_descriptor chosen;   /* else the layer */
	char title[OCI_TITLE_SIZE];     /* base name of the layer's title, or "" */
	char created[OCI_CREATED_SIZE]; /* or "" */
};

/*
 * Read a manifest and choose: the layer whose title's base name is
 * manifests.tgz, else the only one; of an index the only entry, else the one
 * for `platform` ("linux/amd64").
 *
 * The body decides what it is. content_type (NULL: none) may be vague or name
 * another dialect, but not contradict it: one document must not be a manifest
 * to one reader and an index to another (CVE-2021-41190). Addresses in the
 * document (`urls`) are never looked at. ERR_FORMAT, or ERR_LIMIT for too many
 * layers.
 */
MUST_CHECK int manifest_read(const char *body, size_t size, const char *content_type,
                             const char *platform, struct manifest *out_manifest, struct err *err);

/* The platform that this program was built for, as the image-spec writes it. */
const char *manifest_platform(void);

#endif
