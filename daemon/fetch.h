/* One tag's way into the store: manifest, blob, release. Logs each step of a download. */
#ifndef SPECMAN_FETCH_H
#define SPECMAN_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "oci/oci.h"
#include "storage/storage.h"
#include "signers.h"

/* Told how many bytes of a tag's layer have come, again and again. */
struct fetch_observer {
	void (*came)(void *ctx, const char *tag, uint64_t done, uint64_t all);
	void *ctx;
};

/* From where and to where; all borrowed. */
struct fetching {
	struct oci_client *client;
	struct store *store;
	struct signers *signers; /* who has to have signed it */
	const char *data_dir;    /* as the log calls the store */
	const struct cancel *cancel;
	const struct fetch_observer *observer; /* or NULL */
};

/*
 * Fetch the release that tag names with this manifest, verify and publish it.
 * A layer that the store has unpacked already is not downloaded. Errors: those
 * of signers_proof, oci_manifest, oci_blob and store_publish, whose ERR_DIGEST is ERR_IO here:
 * the layer came whole, and the disk changed it. *out_refused is set when the
 * archive's own content is at fault, which only another push can change.
 */
MUST_CHECK int fetch(const struct fetching *with, const char *tag, const struct digest *manifest,
                     struct store_release *out_release, bool *out_refused, struct err *err);

/* What the log calls an error of it: a refusal of what was pushed, or something else. */
const char *fetch_verdict(const struct err *err);

#endif
