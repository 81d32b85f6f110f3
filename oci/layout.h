/*
 * An OCI image layout as a source: a folder with the files oci-layout and
 * index.json and the folder blobs (image-spec 1.1, image-layout.md), as
 * `skopeo copy … oci:DIR:TAG`, `oras copy --to-oci-layout` and crane make it.
 *
 * Tags are the names in index.json, annotation org.opencontainers.image.ref.name
 * (io.containerd.image.name without one); of a full reference,
 * "registry/name:tag", the tag. What has no name is no release.
 *
 * The folder may be exchanged at any time, by a rename, a link or a mount. It is
 * looked up and its index read at each tags(), and held open until the next, so
 * that a round sees one state of it. Content that is not in there any more is
 * looked for in the folder of now: its digest says that it is the right one.
 * Files may be links, but must end in regular ones.
 */
#ifndef SPECMAN_OCI_LAYOUT_H
#define SPECMAN_OCI_LAYOUT_H

#include "base/cancel.h"
#include "base/err.h"
#include "oci/source.h"

/*
 * dir is copied, counters (or NULL) and cancel are borrowed for good. The folder need not be there
 * yet: each operation says what it finds. Its errors, which leave it to the caller to name folder
 * and tag: ERR_IO      the folder is not there (OCI_CAUSE_LAYOUT), or can't be read ERR_FORMAT  it
 * is no layout, or names nothing; from resolve, a name stands for several manifests
 * (OCI_CAUSE_LAYOUT, each) ERR_NOT_FOUND  a file of content is missing (OCI_CAUSE_CONTENT_GONE);
 * from resolve, there is no such name ERR_DIGEST  a file has another size than its descriptor says;
 * whether its bytes have the digest is for the caller to find out ERR_LIMIT, ERR_CANCELLED. There
 * is no ERR_NETWORK: to ask again at once is no use.
 */
MUST_CHECK int layout_source_open(const char *dir, struct oci_counters *counters,
                                  const struct cancel *cancel, struct source *out_source,
                                  struct err *err);

#endif
