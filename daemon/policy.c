/* The tag policy; see policy.h. */
#include "policy.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "semver_range.h"
#include "storage/storage.h"

struct patterns {
	regex_t at[CONFIG_TEXTS_MAX];
	size_t count;
};

struct policy {
	struct patterns include, exclude;
	struct semver_range *range; /* or NULL */
	size_t max_releases;        /* 0: no limit */
	char older[48];             /* the reason for what is beyond it */
	bool prune;
	bool is_doubted; /* the list: no pruning by it */
	bool allow_rollback;
};

/* ---- compiling ---- */

static int compile(const char *flag, const struct config_texts *texts, struct patterns *patterns,
                   struct err *err)
{
	for (size_t i = 0; i < texts->count; i++) {
		char why[160];
		int failed = regcomp(&patterns->at[i], texts->at[i], REG_EXTENDED | REG_NOSUB);

		if (failed) {
			(void)regerror(failed, &patterns->at[i], why, sizeof(why));
			return err_set(err, ERR_CONFIG,
			               "%s is \"%.80s\", and may be a POSIX extended regular "
			               "expression: %s",
			               flag, texts->at[i], why);
		}
		patterns->count++;
	}
	return 0;
}

static int compile_all(struct policy *policy, const struct config *config, struct err *err)
{
	if (compile("--tag-include", &config->tag_include, &policy->include, err) ||
	    compile("--tag-exclude", &config->tag_exclude, &policy->exclude, err))
		return -1;
	if (!config->tag_semver)
		return 0;
	policy->range = semver_range_new(config->tag_semver, err);
	return policy->range ? 0
	                     : err_context(err,
	                                   "--tag-semver is \"%.80s\", and may be a range such as "
	                                   "\">=4.4 <5\", ^4.5, ~4.5.1, 4.5.x or \"4.4 - 4.6\"",
	                                   config->tag_semver);
}

struct policy *policy_new(const struct config *config, struct err *err)
{
	struct policy *policy = calloc(1, sizeof(*policy));

	if (!policy) {
		(void)err_set_sys(err, ENOMEM, "tag policy");
		return NULL;
	}
	policy->max_releases = (size_t)config->max_releases;
	(void)snprintf(policy->older, sizeof(policy->older), "older than the newest %zu",
	               policy->max_releases);
	policy->prune = config->prune;
	policy->allow_rollback = config->allow_rollback;
	if (compile_all(policy, config, err)) {
		policy_free(policy);
		return NULL;
	}
	return policy;
}

static void release_patterns(struct patterns *patterns)
{
	for (size_t i = 0; i < patterns->count; i++)
		regfree(&patterns->at[i]);
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	release_patterns(&policy->include);
	release_patterns(&policy->exclude);
	semver_range_free(policy->range);
	free(policy);
}

int policy_check(const struct config *config, struct err *err)
{
	struct policy *policy = policy_new(config, err);

	policy_free(policy);
	return policy ? 0 : -1;
}

void policy_trust(struct policy *policy, bool is_proof)
{
	policy->is_doubted = !is_proof;
}

static bool prunes(const struct policy *policy)
{
	return policy->prune && !policy->is_doubted;
}

/* ---- taking ---- */

static bool is_own(const char *tag)
{
	return !strcmp(tag, "0.0.0");
}

static bool matches_any(const struct patterns *patterns, const char *tag)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (!regexec(&patterns->at[i], tag, 0, NULL, 0))
			return true;
	return false;
}

static bool takes(const struct policy *policy, const char *tag)
{
	if (policy->include.count && !matches_any(&policy->include, tag))
		return false;
	if (matches_any(&policy->exclude, tag))
		return false;
	return !policy->range || is_own(tag) || semver_range_has(policy->range, tag);
}

static int compare_newest_first(const void *a, const void *b)
{
	return store_tag_compare(((const struct policy_tag *)b)->tag,
	                         ((const struct policy_tag *)a)->tag);
}

void policy_judge(const struct policy *policy, struct policy_tag *tags, size_t count)
{
	if (count)
		qsort(tags, count, sizeof(*tags), compare_newest_first);
	for (size_t i = 0; i < count; i++)
		tags[i].is_taken = takes(policy, tags[i].tag);
}

/* ---- the newest N ---- */

/* Whether --max-releases speaks of this tag at all. */
static bool is_limited(const struct policy *policy, const struct policy_tag *tag)
{
	return policy->max_releases && !is_own(tag->tag) &&
	       store_tag_kind(tag->tag) != STORE_TAG_NO_VERSION;
}

/* Find what is held; tags are sorted, newest first. */
static void hold(const struct policy *policy, struct policy_tag *tags, size_t count)
{
	bool is_newest = prunes(policy) && !policy->allow_rollback;

	for (size_t i = 0; i < count; i++) {
		bool is_version = store_tag_kind(tags[i].tag) != STORE_TAG_NO_VERSION;

		tags[i].is_held = is_newest && is_version && tags[i].is_served &&
		                  tags[i].is_taken && !tags[i].is_listed;
		if (is_version && tags[i].is_served && tags[i].is_taken && tags[i].is_listed)
			is_newest = false;
	}
}

size_t policy_next(const struct policy *policy, struct policy_tag *tags, size_t count)
{
	size_t found = 0, versions = 0;

	hold(policy, tags, count);
	for (size_t i = 0; i < count; i++) {
		struct policy_tag *tag = &tags[i];

		tag->is_next = false;
		/* What is not listed any more counts as long as it stays. */
		if (!tag->is_taken || (!tag->is_listed && prunes(policy) && !tag->is_held))
			continue;
		if (is_limited(policy, tag)) {
			if (versions == policy->max_releases)
				continue;
			versions += tag->is_served || (tag->is_listed && !tag->is_hopeless);
		}
		tag->is_next = tag->is_listed && !tag->is_tried;
		found += tag->is_next;
	}
	return found;
}

/* ---- letting go ---- */

/* Whether pruning is about this one at all. */
static bool is_prunable(const struct policy_tag *tag)
{
	return tag->is_stored && !(tag->is_listed && tag->is_taken);
}

static size_t prune(struct policy_tag *tags, size_t count, const char **out_kept_all)
{
	size_t listed = 0, stays = 0, prunable = 0, dropped = 0;

	for (size_t i = 0; i < count; i++) {
		listed += tags[i].is_listed;
		stays += tags[i].is_served && tags[i].is_listed && tags[i].is_taken;
		prunable += is_prunable(&tags[i]);
	}
	if (!stays && prunable)
		*out_kept_all = listed ? "nothing that is listed and taken is in the store"
		                       : "the list of tags is empty";
	for (size_t i = 0; i < count; i++) {
		tags[i].is_held = tags[i].is_held && stays;
		if (!stays || !is_prunable(&tags[i]) || tags[i].is_held)
			continue;
		tags[i].drop = tags[i].is_listed ? "outside the tag policy" : "tag is gone";
		dropped++;
	}
	return dropped;
}

size_t policy_drop(const struct policy *policy, struct policy_tag *tags, size_t count,
                   const char **out_kept_all)
{
	size_t versions = 0, dropped = 0;

	*out_kept_all = NULL;
	hold(policy, tags, count);
	if (prunes(policy))
		dropped = prune(tags, count, out_kept_all);
	for (size_t i = 0; i < count; i++) {
		if (policy->prune && policy->is_doubted && is_prunable(&tags[i]))
			*out_kept_all = "the list of tags is a mirror's, which may lag behind";
		if (tags[i].drop || !tags[i].is_stored || !tags[i].is_taken ||
		    !is_limited(policy, &tags[i]))
			continue;
		if (versions < policy->max_releases) {
			versions += tags[i].is_served;
			continue;
		}
		tags[i].drop = policy->older;
		dropped++;
	}
	return dropped;
}
