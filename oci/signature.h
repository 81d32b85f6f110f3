/*
 * cosign's signatures with key pairs: what they look like, and what they say. Two forms:
 *
 *  - simple signing (cosign, specs/SIGNATURE_SPEC.md): a layer is a JSON payload that
 *    names the manifest's digest, the signature over its bytes stands in the layer's
 *    annotation dev.cosignproject.cosign/signature;
 *  - a bundle (sigstore's protobuf-specs, sigstore_bundle.proto; cosign since version 3):
 *    a layer is a JSON document with a DSSE envelope (secure-systems-lab/dsse,
 *    envelope.md, protocol.md) around an in-toto statement about the manifest's digest.
 *
 * All of it is hostile. Nothing here asks anybody; signed.c does.
 */
#ifndef SPECMAN_OCI_SIGNATURE_H
#define SPECMAN_OCI_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "oci/limits.h"
#include "oci/oci.h"

enum signature_form { SIGNATURE_NONE, SIGNATURE_SIMPLE, SIGNATURE_BUNDLE };

/* What was signed and what signs it. SIGNATURE_INIT, then signature_release. */
struct signature {
	enum signature_form form;
	struct buf payload; /* of a bundle: the statement in the envelope */
	struct buf value;   /* bytes of the signature */
};

#define SIGNATURE_INIT                                                                             \
	{                                                                                          \
		.form = SIGNATURE_NONE, .payload = BUF_INIT(LIMIT_SIGNATURE_BYTES),                \
		.value = BUF_INIT(LIMIT_SIGNATURE_BYTES)                                           \
	}

void signature_release(struct signature *signature);

enum { SIGNATURE_TAG_SIZE = DIGEST_TEXT_SIZE + sizeof(".sig") };

/*
 * The tag that is about a manifest: "sha256-<hex>" and an ending, as ".sig"; without one, that
 * of its referrers, with 64 digits at the most (distribution-spec 1.1, "Referrers Tag Schema").
 * Of sha512, cosign's would be longer than a tag can be (oci_tag_is_valid).
 */
const char *signature_tag(const struct digest *manifest, const char *ending,
                          char tag[static SIGNATURE_TAG_SIZE]);

/* A layer that may hold one. */
struct signature_layer {
	enum signature_form form;
	struct oci_descriptor blob;
	const char *value; /* base64, of simple signing; belongs to the document */
};

/* What signature_layers finds; borrows from the document until signature_list_release. */
struct signature_list {
	struct signature_layer at[LIMIT_SIGNATURES];
	size_t count;
	size_t left_out; /* beyond these */
	void *document;
};

void signature_list_release(struct signature_list *list);

/* The layers of a manifest that may hold signatures. ERR_FORMAT, ERR_LIMIT: it is no manifest. */
MUST_CHECK int signature_layers(const char *body, size_t size, struct signature_list *out_list,
                                struct err *err);

/* The manifests in an index of referrers (distribution-spec 1.1, "Listing Referrers"). */
struct signature_referrers {
	struct oci_descriptor at[LIMIT_REFERRERS];
	size_t count;
	size_t left_out;
};

/* Those that may hold signatures, by their artifactType and annotations. */
MUST_CHECK int signature_referrers(const char *body, size_t size,
                                   struct signature_referrers *out_referrers, struct err *err);

/* The signature whose payload is a layer's bytes; the layer is SIGNATURE_SIMPLE. ERR_FORMAT. */
MUST_CHECK int signature_of_payload(const char *payload, size_t size, const char *value,
                                    struct signature *out_signature, struct err *err);

/* The signature in the bytes of a bundle. ERR_FORMAT, ERR_LIMIT. */
MUST_CHECK int signature_of_bundle(const char *body, size_t size, struct signature *out_signature,
                                   struct err *err);

/*
 * 0: one of the keys has signed that this is the manifest; *out_key is its number.
 * -1: ERR_UNSIGNED, with the cause OCI_CAUSE_SIGNATURE_MALFORMED when it does not
 * say so, whoever signed it, OCI_CAUSE_SIGNED_BY_OTHER when none of the keys has.
 */
MUST_CHECK int signature_check(const struct signature *signature, const struct digest *manifest,
                               const struct oci_keys *keys, size_t *out_key, struct err *err);

/* A signature as text to be kept, and read again; see oci_proof_check. */
MUST_CHECK int signature_write_proof(const struct signature *signature, struct buf *out_proof,
                                     struct err *err);
MUST_CHECK int signature_read_proof(const char *proof, size_t size, struct signature *out_signature,
                                    struct err *err);

#endif
