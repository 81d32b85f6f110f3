/* What signatures look like, and what they say; see signature.h. */
#include "oci/signature.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/base64.h"
#include "oci/descriptor.h"
#include "oci/json.h"
#include "oci/keys.h"

/* cosign, SIGNATURE_SPEC.md */
#define SIMPLE_TYPE     "application/vnd.dev.cosign.simplesigning.v1+json"
#define SIMPLE_VALUE    "dev.cosignproject.cosign/signature"
#define SIMPLE_CRITICAL "cosign container image signature"
/* The artifactType that cosign 2 gives the same layers when they are referrers. */
#define SIMPLE_ARTIFACT "application/vnd.dev.cosign.artifact.sig.v1+json"

/* sigstore_bundle.proto; "…bundle.v0.3+json", and before "…bundle+json;version=0.1" */
#define BUNDLE_TYPE "application/vnd.dev.sigstore.bundle"
#define PREDICATE   "dev.sigstore.bundle.predicateType"

/* in-toto's attestation framework, statement.md; the predicate is that of cosign's sign */
#define STATEMENT_MEDIA_TYPE "application/vnd.in-toto+json"
#define STATEMENT_TYPE       "https://in-toto.io/Statement/v"
#define STATEMENT_PREDICATE  "https://sigstore.dev/cosign/sign/v1"

#define PROOF_TYPE "specman-proof 1"

enum { REFERRERS_DIGITS = 64 };

static const char *const form_names[] = {
	[SIGNATURE_SIMPLE] = "simple",
	[SIGNATURE_BUNDLE] = "bundle",
};

void signature_release(struct signature *signature)
{
	buf_release(&signature->payload);
	buf_release(&signature->value);
	signature->form = SIGNATURE_NONE;
}

const char *signature_tag(const struct digest *manifest, const char *ending,
                          char tag[static SIGNATURE_TAG_SIZE])
{
	char text[DIGEST_TEXT_SIZE], *colon = strchr(digest_format(manifest, text), ':');

	if (colon)
		*colon = '-';
	if (colon && !*ending && strlen(colon + 1) > REFERRERS_DIGITS)
		colon[1 + REFERRERS_DIGITS] = '\0';
	(void)snprintf(tag, SIGNATURE_TAG_SIZE, "%s%s", text, ending);
	return tag;
}

void signature_list_release(struct signature_list *list)
{
	json_decref(list->document);
	*list = (struct signature_list){ .document = NULL };
}

static bool begins(const char *text, const char *with)
{
	return text && !strncmp(text, with, strlen(with));
}

static bool is(const char *text, const char *what)
{
	return text && !strcmp(text, what);
}

/* ---- manifests and indexes ---- */

/* The document's array of this name; NULL with ERR_FORMAT. */
static const json_t *array_of(const json_t *root, const char *name, struct err *err)
{
	const json_t *array = json_object_get(root, name);

	if (!json_is_array(array)) {
		(void)err_set(err, ERR_FORMAT, "it has no list of %s", name);
		return NULL;
	}
	return array;
}

static enum signature_form form_of_layer(const json_t *layer)
{
	const char *type = json_text_at(layer, "mediaType");

	if (is(type, SIMPLE_TYPE) && *descriptor_annotation(layer, SIMPLE_VALUE))
		return SIGNATURE_SIMPLE;
	return begins(type, BUNDLE_TYPE) ? SIGNATURE_BUNDLE : SIGNATURE_NONE;
}

int signature_layers(const char *body, size_t size, struct signature_list *out_list,
                     struct err *err)
{
	json_auto_t *root = json_bounded(body, size, err);
	const json_t *layers = root ? array_of(root, "layers", err) : NULL;
	const json_t *layer;
	size_t i;

	*out_list = (struct signature_list){ .document = NULL };
	if (!layers)
		return -1;
	json_array_foreach(layers, i, layer)
	{
		struct signature_layer found = { .form = form_of_layer(layer) };

		if (!found.form)
			continue;
		if (out_list->count == LIMIT_SIGNATURES) {
			out_list->left_out++;
			continue;
		}
		if (descriptor_read(layer, &found.blob, err))
			return err_context(err, "layer %zu", i + 1);
		found.value = descriptor_annotation(layer, SIMPLE_VALUE);
		out_list->at[out_list->count++] = found;
	}
	out_list->document = json_incref(root);
	return 0;
}

/*
 * A bundle may be about many things; where it says that it is something else than a
 * signature it is left alone.
 */
static bool may_sign(const json_t *entry)
{
	const char *type = json_text_at(entry, "artifactType");
	const char *predicate = descriptor_annotation(entry, PREDICATE);

	return is(type, SIMPLE_ARTIFACT) ||
	       (begins(type, BUNDLE_TYPE) && (!*predicate || is(predicate, STATEMENT_PREDICATE)));
}

/*
 * Some registries list no artifactType, and clients that write the index themselves, as
 * cosign does where there is no API, the type of the configuration instead: such entries
 * are looked at after the others.
 */
static bool says_nothing(const json_t *entry)
{
	const char *type = json_text_at(entry, "artifactType");

	return !type || !*type || is(type, "application/vnd.oci.empty.v1+json") ||
	       is(type, "application/vnd.oci.image.config.v1+json");
}

static int take_referrers(const json_t *entries, bool (*wanted)(const json_t *entry),
                          struct signature_referrers *referrers, struct err *err)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(entries, i, entry)
	{
		if (!wanted(entry))
			continue;
		if (referrers->count == LIMIT_REFERRERS)
			referrers->left_out++;
		else if (descriptor_read(entry, &referrers->at[referrers->count++], err))
			return err_context(err, "referrer %zu", i + 1);
	}
	return 0;
}

int signature_referrers(const char *body, size_t size, struct signature_referrers *out_referrers,
                        struct err *err)
{
	json_auto_t *root = json_bounded(body, size, err);
	const json_t *entries = root ? array_of(root, "manifests", err) : NULL;

	*out_referrers = (struct signature_referrers){ .count = 0 };
	return !entries || take_referrers(entries, may_sign, out_referrers, err) ||
	                       take_referrers(entries, says_nothing, out_referrers, err)
	               ? -1
	               : 0;
}

/* ---- what a layer holds ---- */

int signature_of_payload(const char *payload, size_t size, const char *value,
                         struct signature *out_signature, struct err *err)
{
	buf_clear(&out_signature->payload);
	buf_clear(&out_signature->value);
	out_signature->form = SIGNATURE_SIMPLE;
	if (base64_decode(value, &out_signature->value, err))
		return err_context(err, "its signature");
	return buf_add(&out_signature->payload, payload, size, err);
}

/* The envelope has exactly one signature (sigstore_bundle.proto, dsse_envelope). */
static int read_envelope(const json_t *envelope, struct signature *out_signature, struct err *err)
{
	const char *type = json_text_at(envelope, "payloadType");
	const char *payload = json_text_at(envelope, "payload");
	const json_t *signatures = json_object_get(envelope, "signatures");
	const char *value = json_text_at(json_array_get(signatures, 0), "sig");

	if (!is(type, STATEMENT_MEDIA_TYPE) || !payload)
		return err_set(err, ERR_FORMAT, "its envelope holds no in-toto statement");
	if (json_array_size(signatures) != 1 || !value)
		return err_set(err, ERR_FORMAT, "its envelope has not one signature");
	if (base64_decode(payload, &out_signature->payload, err))
		return err_context(err, "its payload");
	return base64_decode(value, &out_signature->value, err) ? err_context(err, "its signature")
	                                                        : 0;
}

int signature_of_bundle(const char *body, size_t size, struct signature *out_signature,
                        struct err *err)
{
	json_auto_t *root = json_bounded(body, size, err);
	const json_t *envelope = json_object_get(root, "dsseEnvelope");

	buf_clear(&out_signature->payload);
	buf_clear(&out_signature->value);
	out_signature->form = SIGNATURE_BUNDLE;
	if (!root)
		return -1;
	if (!begins(json_text_at(root, "mediaType"), BUNDLE_TYPE))
		return err_set(err, ERR_FORMAT, "it is no bundle of a known version");
	if (json_object_get(root, "messageSignature"))
		return err_set(
			err, ERR_FORMAT,
			"it is a bundle with a messageSignature, as cosign sign-blob makes it: "
			"only those of cosign sign, with a dsseEnvelope, are understood");
	if (!json_is_object(envelope))
		return err_set(err, ERR_FORMAT, "it is a bundle without a dsseEnvelope");
	return read_envelope(envelope, out_signature, err);
}

/* ---- what it says, and who says it ---- */

static int malformed(struct err *err)
{
	err->kind = ERR_UNSIGNED;
	return err_cause(err, OCI_CAUSE_SIGNATURE_MALFORMED);
}

static int check_simple(const json_t *root, const struct digest *manifest, struct err *err)
{
	const json_t *critical = json_object_get(root, "critical");
	const char *type = json_text_at(critical, "type");
	const char *about = json_text_at(json_object_get(critical, "image"),
	                                 "docker-manifest-digest");
	char text[DIGEST_TEXT_SIZE];

	if (!is(type, SIMPLE_CRITICAL))
		return err_set(err, ERR_FORMAT,
		               "its type is \"%.60s\", not \"" SIMPLE_CRITICAL "\"",
		               type ? type : "");
	if (!is(about, digest_format(manifest, text)))
		return err_set(err, ERR_FORMAT, "it is about another manifest, \"%.80s\"",
		               about ? about : "");
	return 0;
}

static bool names(const json_t *subjects, const struct digest *manifest)
{
	const char *algorithm = manifest->algorithm == DIGEST_SHA512 ? "sha512" : "sha256";
	char hex[DIGEST_TEXT_SIZE];
	const json_t *subject;
	size_t i;

	(void)digest_hex(manifest, hex);
	json_array_foreach(subjects, i, subject)
	{
		if (is(json_text_at(json_object_get(subject, "digest"), algorithm), hex))
			return true;
	}
	return false;
}

static int check_statement(const json_t *root, const struct digest *manifest, struct err *err)
{
	const char *predicate = json_text_at(root, "predicateType");

	if (!begins(json_text_at(root, "_type"), STATEMENT_TYPE))
		return err_set(err, ERR_FORMAT, "it is no in-toto statement");
	if (!is(predicate, STATEMENT_PREDICATE))
		return err_set(err, ERR_FORMAT, "it states \"%.80s\", and is no signature",
		               predicate ? predicate : "");
	if (!names(json_object_get(root, "subject"), manifest))
		return err_set(err, ERR_FORMAT, "it is about another manifest");
	return 0;
}

static int check_claim(const struct signature *signature, const struct digest *manifest,
                       struct err *err)
{
	json_auto_t *root = json_bounded(buf_text(&signature->payload), signature->payload.size,
	                                 err);

	if (!root)
		return -1;
	return signature->form == SIGNATURE_SIMPLE ? check_simple(root, manifest, err)
	                                           : check_statement(root, manifest, err);
}

/* What a signature's bytes are over: of a bundle DSSE's pre-authentication encoding. */
static int put_message(const struct signature *signature, struct buf *message, struct err *err)
{
	const struct buf *payload = &signature->payload;

	if (signature->form == SIGNATURE_BUNDLE &&
	    buf_addf(message, err, "DSSEv1 %zu " STATEMENT_MEDIA_TYPE " %zu ",
	             sizeof(STATEMENT_MEDIA_TYPE) - 1, payload->size))
		return -1;
	return buf_add(message, buf_text(payload), payload->size, err);
}

int signature_check(const struct signature *signature, const struct digest *manifest,
                    const struct oci_keys *keys, size_t *out_key, struct err *err)
{
	CLEANUP(buf_release) struct buf message = BUF_INIT(LIMIT_SIGNATURE_BYTES + 256);

	if (check_claim(signature, manifest, err))
		return malformed(err);
	if (put_message(signature, &message, err))
		return -1;
	if (keys_verify(keys, buf_text(&message), message.size, buf_text(&signature->value),
	                signature->value.size, out_key))
		return 0;
	(void)err_set(err, ERR_UNSIGNED, "no key of --verify-key has made it%s",
	              keys_might_prehash(keys, signature->value.size)
	                      ? " (or it is one of Ed25519ph, which is not understood)"
	                      : "");
	return err_cause(err, OCI_CAUSE_SIGNED_BY_OTHER);
}

/* ---- proofs ---- */

int signature_write_proof(const struct signature *signature, struct buf *out_proof, struct err *err)
{
	const struct buf *payload = &signature->payload, *value = &signature->value;

	return buf_addf(out_proof, err,
	                "{\"type\":\"" PROOF_TYPE "\",\"form\":\"%s\",\"payload\":\"",
	                form_names[signature->form]) ||
	                       base64_encode(buf_text(payload), payload->size, out_proof, err) ||
	                       buf_addf(out_proof, err, "\",\"signature\":\"") ||
	                       base64_encode(buf_text(value), value->size, out_proof, err) ||
	                       buf_addf(out_proof, err, "\"}\n")
	               ? -1
	               : 0;
}

int signature_read_proof(const char *proof, size_t size, struct signature *out_signature,
                         struct err *err)
{
	json_auto_t *root = json_bounded(proof, size, err);
	const char *form = json_text_at(root, "form");
	const char *payload = json_text_at(root, "payload");
	const char *value = json_text_at(root, "signature");

	if (!root)
		return -1;
	buf_clear(&out_signature->payload);
	buf_clear(&out_signature->value);
	out_signature->form = is(form, form_names[SIGNATURE_SIMPLE])   ? SIGNATURE_SIMPLE
	                      : is(form, form_names[SIGNATURE_BUNDLE]) ? SIGNATURE_BUNDLE
	                                                               : SIGNATURE_NONE;
	if (!is(json_text_at(root, "type"), PROOF_TYPE) || !out_signature->form || !payload ||
	    !value)
		return err_set(err, ERR_FORMAT, "it is no proof of a known kind");
	return base64_decode(payload, &out_signature->payload, err) ||
	                       base64_decode(value, &out_signature->value, err)
	               ? -1
	               : 0;
}

int oci_proof_check(const char *proof, size_t size, const struct digest *manifest,
                    const struct oci_keys *keys, size_t *out_key, struct err *err)
{
	CLEANUP(signature_release) struct signature signature = SIGNATURE_INIT;

	if (signature_read_proof(proof, size, &signature, err))
		return malformed(err);
	return signature_check(&signature, manifest, keys, out_key, err);
}
