/*
 * One round of syncing; see sync.h. A tag whose digest did not change costs one
 * request; one tag's trouble never stops the others; a release that was refused
 * for what it contains is not downloaded again until its tag moves.
 */
#include "sync.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advice.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "fetch.h"
#include "log.h"
#include "oci/oci.h"
#include "policy.h"
#include "refusals.h"
#include "status.h"
#include "storing.h"
#include "sync_log.h"
#include "sync_source.h"
#include "sync_trouble.h"

enum {
	HEARTBEAT_MS = 60 * 60 * 1000,
	FALLBACKS_MAX =
		10, /* how often a round looks for older versions in place of hopeless ones */
};

struct sync {
	const struct config *config;
	struct store *store;
	struct signers *signers;
	struct cancel *cancel;
	const struct fetch_observer *observer; /* or NULL */
	struct sync_trouble trouble;
	struct sync_source source;
	struct policy *policy;
	struct refusals refusals;
	struct sync_outcome outcome; /* of the last round */
	int64_t told_ms;             /* when the last line that all is well was written */
	bool has_collected;          /* the store, since it was opened */
};

/* A tag and what the registry says of it. */
struct change {
	const char *tag;
	const struct digest *manifest;
	struct policy_tag *entry;
};

/* What a round knows and finds out. */
struct round {
	struct sync *sync;
	struct oci_client *client;
	const struct oci_tags *listed;
	char **stored; /* tags on disk at the start */
	size_t stored_count;
	struct policy_tag *tags; /* listed, stored or both: newest first */
	size_t count;
	size_t changes;
	size_t dropped;
	enum err_kind failed; /* of the last failure that counts for the round */
};

struct sync *sync_new(const struct config *config, struct store *store, struct status *status,
                      struct signers *signers, struct cancel *cancel, struct err *err)
{
	struct sync *sync = calloc(1, sizeof(*sync));

	if (!sync) {
		(void)err_set_sys(err, ENOMEM, "sync");
		return NULL;
	}
	sync->config = config;
	sync->store = store;
	sync->signers = signers;
	sync->cancel = cancel;
	sync->told_ms = clock_now_ms() - HEARTBEAT_MS; /* the first round says so */
	sync->source = (struct sync_source){ .config = config,
		                             .cancel = cancel,
		                             .trouble = &sync->trouble };
	if (sync_trouble_init(&sync->trouble, status, err))
		goto fail;
	sync->policy = policy_new(config, err);
	if (!sync->policy)
		goto fail;
	return sync;
fail:
	sync_free(sync);
	return NULL;
}

void sync_free(struct sync *sync)
{
	if (!sync)
		return;
	sync_source_drop(&sync->source);
	sync_trouble_release(&sync->trouble);
	policy_free(sync->policy);
	refusals_release(&sync->refusals);
	free(sync);
}

void sync_reload(struct sync *sync)
{
	sync_source_drop(&sync->source);
	sync_trouble_renew(&sync->trouble);
}

void sync_observe(struct sync *sync, const struct fetch_observer *observer)
{
	sync->observer = observer;
}

/* ---- one tag ---- */

/* Whether a tag's trouble is everybody's: one bad tag must not slow the polling of the others. */
static bool counts_for_the_round(enum err_kind kind)
{
	return kind == ERR_NETWORK || kind == ERR_IO || kind == ERR_NO_SPACE ||
	       kind == ERR_CANCELLED;
}

static void tag_failed(struct round *round, struct policy_tag *entry, enum err_kind kind)
{
	if (counts_for_the_round(kind))
		round->failed = kind;
	else
		entry->is_hopeless = true;
}

static void pull_change(struct round *round, const struct change *change)
{
	struct sync *sync = round->sync;
	const int64_t began_ms = clock_now_ms();
	struct store_release release;
	bool refused = false;
	struct err err;

	if (!fetch(&(struct fetching){ round->client, sync->store, sync->signers,
	                               sync->config->data_dir, sync->cancel, sync->observer },
	           change->tag, change->manifest, &release, &refused, &err)) {
		sync_log_published(sync->store, &release, clock_now_ms() - began_ms);
		change->entry->is_stored = change->entry->is_served = true;
		if (sync_trouble_over(&sync->trouble, NULL, change->tag))
			log_line(LOG_INFO, "Release accepted again",
			         (struct log_field[]){ { "tag", change->tag }, { NULL, NULL } });
		return;
	}
	sync_trouble_tell(&sync->trouble, NULL, fetch_verdict(&err), change->tag, &err);
	if (refused)
		refusals_add(&sync->refusals, change->tag, change->manifest);
	tag_failed(round, change->entry, err.kind);
}

/* ---- the round ---- */

static bool is_change(struct sync *sync, const struct change *change)
{
	struct store_release release;
	struct err err;

	return store_release_find(sync->store, change->tag, &release, &err) ||
	       !digest_equal(&release.manifest, change->manifest);
}

/* What a round comes to when one of its parts failed so. */
static enum sync_result result_of(enum err_kind kind)
{
	return kind == ERR_NONE ? SYNC_DONE : kind == ERR_CANCELLED ? SYNC_CANCELLED : SYNC_FAILED;
}

static int compare_tags(const void *a, const void *b)
{
	return store_tag_compare(((const struct policy_tag *)a)->tag,
	                         ((const struct policy_tag *)b)->tag);
}

/* All tags that the registry lists or the store has, each once, for the policy to judge. */
static int gather(struct round *round, struct err *err)
{
	if (store_tags(round->sync->store, &round->stored, &round->stored_count, err))
		return -1;
	round->tags = calloc(round->stored_count + round->listed->count + 1, sizeof(*round->tags));
	if (!round->tags)
		return err_set_sys(err, ENOMEM, "%zu tags", round->listed->count);
	for (size_t i = 0; i < round->stored_count; i++)
		round->tags[i] = (struct policy_tag){
			.tag = round->stored[i],
			.is_stored = true,
			.is_served = store_release_is_whole(round->sync->store, round->stored[i]),
		};
	round->count = round->stored_count;
	for (size_t i = 0; i < round->listed->count; i++) {
		struct policy_tag tag = { .tag = round->listed->names[i] };
		struct policy_tag *found = bsearch(&tag, round->tags, round->stored_count,
		                                   sizeof(tag), compare_tags);

		if (!found) {
			found = &round->tags[round->count++];
			*found = tag;
		}
		found->is_listed = true;
	}
	policy_trust(round->sync->policy, !round->listed->source);
	policy_judge(round->sync->policy, round->tags, round->count);
	return 0;
}

static void round_release(struct round *round)
{
	store_tags_free(round->stored, round->stored_count);
	free(round->tags);
}

/* What the registry says of one tag: whether it is a change to be pulled. */
static bool judge(struct round *round, const struct oci_resolved *resolved,
                  const struct change *change)
{
	struct sync *sync = round->sync;
	struct err err;

	if (resolved->failed) {
		sync_trouble_tell(&sync->trouble, NULL, "Tag not resolved", change->tag,
		                  &resolved->err);
		tag_failed(round, change->entry, resolved->err.kind);
		return false;
	}
	if (refusals_has(&sync->refusals, change->tag, change->manifest)) {
		sync_trouble_stays(&sync->trouble, change->tag);
		change->entry->is_hopeless = true;
		return false;
	}
	if (!is_change(sync, change))
		return false;
	if (!signers_prove(sync->signers, round->client, change->manifest, &err))
		return true;
	sync_trouble_tell(&sync->trouble, NULL, signers_verdict(&err), change->tag, &err);
	tag_failed(round, change->entry, err.kind);
	return false;
}

static void pull_in_order(struct round *round, const struct change *changes, size_t count)
{
	if (count && !round->changes) {
		log_line(LOG_INFO, "Syncing with OCI repo", NULL);
		sync_log_tags(round->listed);
	}
	round->changes += count;
	for (size_t i = 0; i < count && !cancel_is_raised(round->sync->cancel); i++) {
		pull_change(round, &changes[i]);
		storing_look(round->sync->store, round->sync->config, round->sync->trouble.status);
	}
}

/* Ask for the `wanted` tags that are next, and pull those of them that changed. */
static int pull_next(struct round *round, size_t wanted, struct err *err)
{
	CLEANUP(cleanup_free) char **names = calloc(wanted, sizeof(*names));
	CLEANUP(cleanup_free) struct oci_resolved *resolved = calloc(wanted, sizeof(*resolved));
	CLEANUP(cleanup_free) struct change *asked = calloc(wanted, sizeof(*asked));
	size_t count = 0, changes = 0;

	if (!names || !resolved || !asked)
		return err_set_sys(err, ENOMEM, "%zu tags", wanted);
	/* Older versions first, so that an overlay grows from its base. */
	for (size_t i = round->count; i-- > 0;)
		if (round->tags[i].is_next) {
			round->tags[i].is_tried = true;
			asked[count] = (struct change){ .tag = round->tags[i].tag,
				                        .manifest = &resolved[count].digest,
				                        .entry = &round->tags[i] };
			names[count++] = (char *)round->tags[i].tag; /* it is only read */
		}
	oci_resolve(round->client, names, count, resolved);
	for (size_t i = 0; i < count && !cancel_is_raised(round->sync->cancel); i++)
		if (judge(round, &resolved[i], &asked[i]))
			asked[changes++] = asked[i];
	pull_in_order(round, asked, changes);
	return 0;
}

static void tell_nothing_new(struct sync *sync, const struct oci_tags *tags)
{
	int64_t now = clock_now_ms();
	bool is_due = now - sync->told_ms >= HEARTBEAT_MS;
	char count[24];

	(void)snprintf(count, sizeof(count), "%zu", tags->count);
	log_line(is_due ? LOG_INFO : LOG_DEBUG, "Nothing new",
	         (struct log_field[]){ { "tags", count }, { NULL, NULL } });
	if (is_due)
		sync->told_ms = now;
}

/* Whether the store was swept. */
static bool collect(struct sync *sync)
{
	uint64_t swept;
	struct err err;
	char count[24];

	if (store_collect(sync->store, &swept, &err)) {
		sync_trouble_tell(&sync->trouble, "collect", "Old objects not swept", NULL, &err);
		return false;
	}
	(void)sync_trouble_over(&sync->trouble, "collect", NULL);
	(void)snprintf(count, sizeof(count), "%" PRIu64, swept);
	if (swept)
		log_line(LOG_DEBUG, "Swept old objects",
		         (struct log_field[]){ { "objects", count }, { NULL, NULL } });
	return !store_collect_was_held(sync->store);
}

void sync_sweep(struct sync *sync, struct sync_outcome *out_outcome)
{
	struct err err;

	*out_outcome = (struct sync_outcome){ .verdict = SYNC_VERDICT_DONE };
	if (!storing_sweep(sync->store, out_outcome->reason, sizeof(out_outcome->reason), &err))
		return;
	out_outcome->verdict = SYNC_VERDICT_FAILED;
	(void)snprintf(out_outcome->reason, sizeof(out_outcome->reason), "%s", err.msg);
}

static void tell_kept_all(struct sync *sync, const char *reason)
{
	static const char subject[] = "what is pruned";

	if (reason)
		sync_trouble_warn(&sync->trouble, subject, "Nothing pruned", NULL, reason, 0);
	else
		(void)sync_trouble_over(&sync->trouble, subject, NULL);
}

static void tell_held(struct sync *sync, const char *tag)
{
	static const char msg[] = "Release kept although its tag is gone";

	sync_trouble_warn(&sync->trouble, msg, msg, tag, "it is newer than all that stay",
	                  ADVICE_ROLLBACK);
}

/* Let go of what the policy keeps no longer, all in one swap of the view. */
static int drop(struct round *round, struct err *err)
{
	struct sync *sync = round->sync;
	const char *kept_all;
	size_t wanted = policy_drop(sync->policy, round->tags, round->count, &kept_all);
	CLEANUP(cleanup_free) const char **names = calloc(wanted + 1, sizeof(*names));
	size_t count = 0;

	tell_kept_all(sync, kept_all);
	if (!names)
		return err_set_sys(err, ENOMEM, "%zu tags", wanted);
	for (size_t i = round->count; i-- > 0;) {
		if (round->tags[i].drop)
			names[count++] = round->tags[i].tag;
		if (round->tags[i].is_held)
			tell_held(sync, round->tags[i].tag);
	}
	if (count && store_remove(sync->store, names, count, err))
		return err_context(err, "drop releases");
	for (size_t i = round->count; i-- > 0;)
		if (round->tags[i].drop)
			log_line(LOG_INFO, "Release dropped",
			         (struct log_field[]){ { "reason", round->tags[i].drop },
			                               { "tag", round->tags[i].tag },
			                               { NULL, NULL } });
	round->dropped = count;
	return 0;
}

/*
 * The list is whole. What is to go goes last, so that a release which takes
 * the place of another is there before.
 */
static int follow_list(struct round *round, struct err *err)
{
	if (gather(round, err))
		return -1;
	for (unsigned i = 0; i <= FALLBACKS_MAX; i++) {
		size_t wanted = policy_next(round->sync->policy, round->tags, round->count);

		if (!wanted)
			break;
		if (pull_next(round, wanted, err) || cancel_check(round->sync->cancel, err))
			return -1;
	}
	return drop(round, err);
}

/* Releases that can't be served, and that the registry does not have any more. */
static void tell_lost(struct round *round)
{
	for (size_t i = 0; i < round->count; i++) {
		const struct policy_tag *tag = &round->tags[i];

		if (!tag->is_stored || tag->is_served || tag->is_listed || tag->drop)
			continue;
		status_lost(round->sync->trouble.status, tag->tag,
		            store_release_is_withheld(round->sync->store, tag->tag)
		                    ? "Release not served: no trusted key signs it"
		                    : "Release damaged on disk",
		            "the registry does not have it any more");
	}
}

static enum sync_result follow(struct sync *sync, const struct oci_tags *listed)
{
	struct round round = { .sync = sync, .client = sync->source.client, .listed = listed };
	struct err err;
	int failed = follow_list(&round, &err);

	if (failed) {
		sync_trouble_tell(&sync->trouble, "round", "Sync failed", NULL, &err);
	} else {
		(void)sync_trouble_over(&sync->trouble, "round", NULL);
		tell_lost(&round);
		sync_trouble_sweep_tags(&sync->trouble);
		sync_source_sweep(&sync->source);
	}
	round_release(&round);
	if (failed)
		return result_of(err.kind);
	if (!round.failed)
		store_download_sweep(sync->store);
	if (round.changes || round.dropped)
		(void)collect(sync);
	else if (!round.failed)
		tell_nothing_new(sync, listed);
	if ((round.changes || round.dropped) && !round.failed)
		log_line(LOG_INFO, "Sync done", NULL);
	return result_of(round.failed);
}

/* There is no list to follow. */
static enum sync_result source_failed(struct sync *sync, const struct err *err)
{
	sync_trouble_tell(&sync->trouble, "sync", "Sync failed", NULL, err);
	/* After a refused login everything is read anew, also what did not seem to change. */
	if (err->kind == ERR_AUTH)
		sync_source_drop(&sync->source);
	return result_of(err->kind);
}

static enum sync_result wait_for_secret(struct sync *sync, const char *reason)
{
	static const char msg[] = "Waiting for the registry secret";

	/* Nothing is asked any more, so nothing of what was asked before can fail. */
	status_set_source(sync->trouble.status, "");
	(void)sync_trouble_over(&sync->trouble, "sync", NULL);
	if (sync_trouble_is_news(&sync->trouble, "secret", reason))
		log_line(LOG_WARNING, msg,
		         (struct log_field[]){ { "reason", reason }, { NULL, NULL } });
	sync_trouble_note(&sync->trouble, msg, NULL, reason);
	return SYNC_WAITING;
}

static enum sync_result go_round(struct sync *sync)
{
	CLEANUP(oci_tags_release) struct oci_tags tags = { .names = NULL };
	struct err err;

	if (oci_tags(sync->source.client, &tags, &err))
		return source_failed(sync, &err);
	if (sync_trouble_over(&sync->trouble, "sync", NULL)) {
		log_line(LOG_INFO, "The registry answers again", NULL);
		memset(sync->trouble.advised, 0, sizeof(sync->trouble.advised));
	}
	return follow(sync, &tags);
}

static bool serves_any(struct sync *sync)
{
	struct store_view *view = store_view_get(sync->store);
	bool has_any = store_view_release_count(view) > 0;

	store_view_put(view);
	return has_any;
}

static void sum_up(struct sync *sync, enum sync_result result)
{
	struct sync_outcome *outcome = &sync->outcome;

	if (result == SYNC_WAITING) {
		outcome->verdict = SYNC_VERDICT_NOTHING;
	} else if (result == SYNC_CANCELLED) {
		outcome->verdict = SYNC_VERDICT_STOPPED;
	} else if (result != SYNC_DONE || *sync->trouble.reason) {
		outcome->verdict = SYNC_VERDICT_FAILED;
	} else if (!serves_any(sync)) {
		outcome->verdict = SYNC_VERDICT_NOTHING;
		sync_trouble_note(&sync->trouble, "Nothing to serve yet", NULL,
		                  "the repository has no tag that is taken");
	}
	memcpy(outcome->reason, sync->trouble.reason, sizeof(outcome->reason));
}

/* Whether files of the store are damaged still. */
static bool is_damaged(const struct sync *sync)
{
	struct store_counters counters;

	store_count(sync->store, &counters);
	return counters.damaged > 0;
}

uint64_t sync_damages(const struct sync *sync)
{
	struct store_counters counters;

	store_count(sync->store, &counters);
	return counters.damaged_total;
}

const struct sync_outcome *sync_outcome(const struct sync *sync)
{
	return &sync->outcome;
}

enum sync_result sync_round(struct sync *sync)
{
	enum sync_result result;
	struct err err;

	sync->outcome = (struct sync_outcome){ .verdict = SYNC_VERDICT_DONE };
	sync_trouble_begin(&sync->trouble);
	cancel_resume(sync->cancel); /* before new keys are taken: what comes later is for later */
	signers_begin(sync->signers, sync->store);
	/* What a crash left is swept before anything can share it, and what is missing is found and
	 * fetched again below. */
	if (!sync->has_collected)
		sync->has_collected = collect(sync);
	if (!sync_source_renew(&sync->source, &err))
		result = go_round(sync);
	else if (err.kind == ERR_NOT_FOUND)
		result = wait_for_secret(sync, err.msg);
	else
		result = source_failed(sync, &err);
	if (!is_damaged(sync))
		(void)sync_trouble_over(&sync->trouble, storing_damage, NULL);
	sum_up(sync, result);
	return result;
}
