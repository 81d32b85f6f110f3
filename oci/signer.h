/* Making signatures; see oci.h for how a signer is made, and signature.h for what one looks like.
 */
#ifndef SPECMAN_OCI_SIGNER_H
#define SPECMAN_OCI_SIGNER_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "oci/oci.h"

/* The public half. It lives as long as the signer. */
const struct oci_keys *signer_keys(const struct oci_signer *signer);

/* What cosign pushes for a signature, as texts. All are empty before, of some KiB. */
struct signer_parts {
	struct buf *payload, *config, *manifest;
};

/*
 * Make the simple signing payload for a manifest (cosign, SIGNATURE_SPEC.md), its
 * configuration, and the manifest that holds it with the signature. `repository` is
 * HOST/NAME.
 */
MUST_CHECK int signer_make(const struct oci_signer *signer, const char *repository,
                           const struct digest *manifest, const struct signer_parts *parts,
                           struct err *err);

#endif
