/*
 * Any bytes as what a registry may have in a signature's place: a manifest, an index, a
 * payload, a bundle; and as a proof on disk. Reading ends, says what is wrong, and takes
 * nothing: no key that is trusted here has signed anything.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/base64.h"
#include "oci/signature.h"
#include "must.h"

/* Of a key that was thrown away. */
static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
			  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE576UtSWxVF/C4ZpCR50m/y3IxW3I\n"
			  "LV/sFrwmIXj1MrSVMIxJutUN7EKItgXx4uBSIArdIZJ2pdY8Tit+k7nkaA==\n"
			  "-----END PUBLIC KEY-----\n";

static struct oci_keys *trusted(void)
{
	static struct oci_keys *keys;
	struct err err;

	if (!keys) {
		keys = oci_keys_new(&err);
		MUST(keys && !oci_keys_add(keys, pem, sizeof(pem) - 1, "", &err));
	}
	return keys;
}

static void judge(const struct signature *signature)
{
	static const struct digest manifest = { .algorithm = DIGEST_SHA256 };
	struct err err;
	size_t key;

	MUST(signature_check(signature, &manifest, trusted(), &key, &err));
	MUST(err.kind == ERR_UNSIGNED && err.cause);
}

static void read_documents(const char *text, size_t size)
{
	CLEANUP(signature_list_release) struct signature_list list;
	struct signature_referrers referrers;
	struct err err;

	if (!signature_layers(text, size, &list, &err))
		for (size_t i = 0; i < list.count; i++)
			MUST(list.at[i].form && list.at[i].value && list.at[i].blob.size >= 0);
	if (!signature_referrers(text, size, &referrers, &err))
		MUST(referrers.count <= LIMIT_REFERRERS);
}

static void read_proof(const char *text, size_t size)
{
	CLEANUP(signature_release)
	struct signature signature = SIGNATURE_INIT, again = SIGNATURE_INIT;
	CLEANUP(buf_release) struct buf proof = BUF_INIT(OCI_PROOF_BYTES);
	struct err err;

	if (signature_read_proof(text, size, &signature, &err))
		return;
	judge(&signature);
	/* What was read is written, and read again, as it was. */
	MUST(!signature_write_proof(&signature, &proof, &err));
	MUST(!signature_read_proof(proof.data, proof.size, &again, &err));
	MUST(again.form == signature.form && again.payload.size == signature.payload.size &&
	     again.value.size == signature.value.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	CLEANUP(cleanup_free) char *text = malloc(size + 1);
	CLEANUP(signature_release) struct signature signature = SIGNATURE_INIT;
	struct err err;

	MUST(text);
	memcpy(text, bytes, size);
	text[size] = '\0';
	read_documents(text, size);
	read_proof(text, size);
	if (!signature_of_bundle(text, size, &signature, &err))
		judge(&signature);
	if (!signature_of_payload(text, size, text, &signature, &err) ||
	    !signature_of_payload(text, size, "AAAA", &signature, &err))
		judge(&signature);
	return 0;
}
