/* The trusted keys, and what they sign in a repository; see check_steps.h. */
#include "check_steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advice.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "signers.h"

enum { TAGS_MAX = 20 };

static const char step[] = "signature";

void check_signers(struct check *check)
{
	struct oci_key_info info;
	struct err err;

	if (!check->config->verify_key.count)
		return;
	check->keys = signers_read_keys(&check->config->verify_key, &err);
	if (!check->keys) {
		report_failure(check, "keys", &err);
		return;
	}
	report_ok(check, "keys", "releases have to be signed by %s",
	          oci_keys_count(check->keys) > 1 ? "one of these" : "this one");
	for (size_t i = 0; i < oci_keys_count(check->keys); i++) {
		oci_keys_describe(check->keys, i, &info);
		report_detail("%s %s", info.kind, info.fingerprint);
	}
}

static int ask(const struct check *check, struct oci_client *client, const struct digest *manifest,
               struct oci_key_info *out_info, struct err *err)
{
	CLEANUP(buf_release) struct buf proof = BUF_INIT(OCI_PROOF_BYTES);
	size_t key;

	if (oci_signature(client, manifest, check->keys, &proof, &key, err)) {
		if (!err->cause)
			(void)err_cause(err, OCI_CAUSE_SIGNATURE_NOT_ASKED);
		return -1;
	}
	oci_keys_describe(check->keys, key, out_info);
	return 0;
}

int check_signature(struct check *check, struct oci_client *client, const char *tag,
                    const struct digest *manifest)
{
	struct oci_key_info info;
	struct err err;

	if (!check->keys) {
		report_skip(check, step, "there are no keys to check it with");
		return 0;
	}
	if (ask(check, client, manifest, &info, &err)) {
		report_failure(check, step, &err);
		return -1;
	}
	report_ok(check, step, "%s is signed by %s %s", tag, info.kind, info.fingerprint);
	return 0;
}

void check_older_signatures(struct check *check, struct oci_client *client,
                            const struct oci_tags *tags)
{
	CLEANUP(buf_release) struct buf without = BUF_INIT(4096);
	struct oci_resolved resolved[TAGS_MAX];
	struct oci_key_info info;
	size_t count;
	struct err err;

	count = tags->count - 1 < TAGS_MAX ? tags->count - 1 : TAGS_MAX;
	if (!check->keys || !count)
		return;
	oci_resolve(client, tags->names + 1, count, resolved);
	for (size_t i = 0; i < count && !cancel_is_raised(check->cancel); i++)
		if ((resolved[i].failed || ask(check, client, &resolved[i].digest, &info, &err)) &&
		    buf_addf(&without, &err, " %s", tags->names[i + 1]))
			break;
	if (without.size)
		report_warning(check, step, OCI_CAUSE_NOT_SIGNED,
		               "of the next %zu tags these have no signature that counts:%s", count,
		               buf_text(&without));
	else
		report_ok(check, step, "the next %zu tags are signed, too", count);
}
