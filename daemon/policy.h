/*
 * Which tags are taken from the registry, and which releases are let go again:
 * --tag-include, --tag-exclude, --tag-semver, --max-releases and --prune.
 * Decides only; it knows neither the registry nor the store.
 *
 * A tag is taken when
 *  - it matches any --tag-include, or none is given,
 *  - it matches no --tag-exclude,
 *  - it is a version within --tag-semver, or none is given, or the tag is 0.0.0,
 *    the operator's own migrated SCAR.
 * The expressions are POSIX extended ones and match anywhere in the tag, unless
 * they are anchored with ^ and $.
 *
 * --max-releases N keeps the newest N versions among the tags that are taken,
 * pre-releases included. 0.0.0 and tags that are no versions don't count, and
 * are kept. Only what can be served counts: when a newer version can't be had,
 * an older one stays, or is fetched, in its place.
 *
 * --prune lets go of releases whose tag is gone from the list or is taken no
 * more. A version that is gone and newer than all that stay is held, unless
 * --allow-rollback is given: the platform would go back to an older one. Nothing
 * goes unless something of the list stays: a list that is empty,
 * or that has nothing in common with the store, is more likely a registry that
 * lost its storage or a wrong repository. Nor does anything go by a mirror's list.
 */
#ifndef SPECMAN_POLICY_H
#define SPECMAN_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config.h"

struct policy;

/*
 * Compile what the configuration says, which is borrowed during the call.
 * ERR_CONFIG names the flag, its value, and why it can't be.
 */
MUST_CHECK struct policy *policy_new(const struct config *config, struct err *err);
void policy_free(struct policy *policy);

/* Just whether policy_new would succeed, for the start. */
MUST_CHECK int policy_check(const struct config *config, struct err *err);

/* A tag that the registry lists, or the store has, or both. */
struct policy_tag {
	const char *tag;
	bool is_listed;
	bool is_stored;   /* on disk */
	bool is_served;   /* and whole */
	bool is_tried;    /* the registry was asked for it in this round */
	bool is_hopeless; /* and it is not to be had, until somebody does something about it */
	/* Answers: */
	bool is_taken;
	bool is_next;
	bool is_held;     /* it would be pruned, and is not: it is newer than all that stay */
	const char *drop; /* why it is to go, or NULL; the policy's own text */
};

/*
 * Whether the list of this round proves that what it lacks is gone. That of a mirror, which may
 * lag behind, doesn't: nothing is pruned then. At first it does.
 */
void policy_trust(struct policy *policy, bool is_proof);

/* Begin: sort tags, newest first, and set is_taken. Each tag is there once. */
void policy_judge(const struct policy *policy, struct policy_tag *tags, size_t count);

/*
 * Set is_next on the tags that the registry is to be asked for next: those that
 * are listed, taken, not tried yet, and within the newest N. Once some turned
 * out hopeless, another call finds older versions in their place. Returns how
 * many there are: 0 is the end.
 */
size_t policy_next(const struct policy *policy, struct policy_tag *tags, size_t count);

/*
 * At the end, when the newer ones are stored: set drop and is_held. Returns how many are to
 * go. *out_kept_all is why nothing is pruned although something would be, or NULL.
 */
size_t policy_drop(const struct policy *policy, struct policy_tag *tags, size_t count,
                   const char **out_kept_all);

#endif
