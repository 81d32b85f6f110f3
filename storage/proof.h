/*
 * Proofs: a few bytes for each manifest, which say who stands for it. The store keeps
 * them beside the releases, as releases/<algorithm>-<hex>.proof, and knows nothing of
 * what is in them: settings->admits does.
 *
 * A proof is durable before the release that needs it is renamed into place, and is
 * named by its manifest: so a crash between the two leaves the earlier release with
 * its own. What no release names is swept.
 */
#ifndef SPECMAN_STORAGE_PROOF_H
#define SPECMAN_STORAGE_PROOF_H

#include <stdbool.h>

#include "store.h"

/* Keep a proof of the source's manifest, durably; one that is there is replaced. */
MUST_CHECK int proof_put(struct store *store, const struct store_source *source, struct err *err);

/* Whether a release may be served: it has a proof that settings->admits takes, or there is none. */
bool proof_admits(struct store *store, const struct store_release *release);

/* Remove those that are of none of these manifests, which are those of all releases. */
MUST_CHECK int proof_sweep(struct store *store, const struct digest_set *manifests,
                           struct err *err);

#endif
