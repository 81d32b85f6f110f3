/*
 * Whose signature makes a release fit to be served: the public keys of --verify-key.
 * They are read when this is made; signers_watch.h looks for new ones.
 *
 *	signers_new        at the start
 *	signers_admission  for the store: by the proof that was kept with a release
 *	signers_begin      at the beginning of each round: take new keys
 *	signers_prove      for a manifest that is new: ask the registry
 *	signers_proof      what came of that, to be kept with the release
 *
 * Without --verify-key everything is fit. All but signers_offer_take belongs to the
 * thread that writes to the store.
 */
#ifndef SPECMAN_SIGNERS_H
#define SPECMAN_SIGNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "config.h"
#include "oci/oci.h"
#include "storage/storage.h"

struct signers;
struct status;

/* config and status, which may be NULL, are borrowed for its life. ERR_CONFIG names the file and
 * what is wrong with it. */
MUST_CHECK struct signers *signers_new(const struct config *config, struct status *status,
                                       struct err *err);
void signers_free(struct signers *signers);

/* What tells the files from changed ones. */
uint64_t signers_fingerprint(const struct config_texts *files);

/* The keys of all files. ERR_CONFIG. */
MUST_CHECK struct oci_keys *signers_read_keys(const struct config_texts *files, struct err *err);

/* For store_settings: whether the kept proof is good, and to be asked at all. */
store_admission *signers_admission(const struct signers *signers);

/* A round begins. New keys are taken, and the store's view is made anew by them. */
void signers_begin(struct signers *signers, struct store *store);

/*
 * Whether one of the keys signs a manifest, by a signature that was kept or that the
 * registry has. -1: as oci_signature; ERR_UNSIGNED is a
 * refusal, all else means that it could not be asked. Manifests that were found to be
 * unsigned are asked about again in each round; when there are many, in turns.
 */
MUST_CHECK int signers_prove(struct signers *signers, struct oci_client *client,
                             const struct digest *manifest, struct err *err);

/*
 * Set source->proof and ->signer for source->manifest, from signers_prove of this round, or by
 * asking again. It stays until the next call. Errors as signers_prove.
 */
MUST_CHECK int signers_proof(struct signers *signers, struct oci_client *client,
                             struct store_source *source, struct err *err);

/* What the log calls an error of the two. */
const char *signers_verdict(const struct err *err);

/* What tells sets of keys apart, whatever their order. */
MUST_CHECK int signers_sum(const struct oci_keys *keys, struct digest *out_sum, struct err *err);

/* Keys that count from the next round on. Any thread. */
void signers_offer_take(struct signers *signers, struct oci_keys *keys);

/* The fingerprint of the files as signers_new read them. */
uint64_t signers_seen(const struct signers *signers);
/* The sum of the keys that were in them. */
const struct digest *signers_seen_sum(const struct signers *signers);

#endif
