/* Where keys come from; see aws_chain.h. */
#include "oci/aws_chain.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "oci/aws_region.h"
#include "oci/aws_source.h"
#include "oci/aws_time.h"
#include "oci/limits.h"

struct aws_chain {
	struct aws aws;
	struct aws_keys keys;
	int64_t renew_ms; /* of temporary keys */
	int64_t end_ms;
};

DEFINE_CLEANUP(cleanup_chain, struct aws_chain, aws_chain_free);

/* In the order of AWS' own programs. */
static const struct {
	const char *name;
	enum aws_found (*find)(const struct aws *aws, struct aws_keys *out_keys, struct err *err);
} sources[] = {
	{ "environment", aws_environment_find }, { "web identity", aws_web_identity_find },
	{ "Pod Identity", aws_container_find },  { "credentials file", aws_profile_find },
	{ "instance", aws_metadata_find },
};

static int copy(const char *text, char **out, struct err *err)
{
	if (!text || !*text)
		return 0;
	*out = strdup(text);
	return *out ? 0 : err_set_sys(err, ENOMEM, "AWS credentials");
}

static int copy_given(const struct oci_aws *from, struct oci_aws *to, struct err *err)
{
	to->kind = from->kind;
	return copy(from->access_key, &to->access_key, err) ||
	                       copy(from->secret_key, &to->secret_key, err) ||
	                       copy(from->session_token, &to->session_token, err) ||
	                       copy(from->role_arn, &to->role_arn, err) ||
	                       copy(from->external_id, &to->external_id, err)
	               ? -1
	               : 0;
}

/* Clusters without a way out have an STS of their own in the region that they stand in. */
static int choose_region(struct aws *aws, const char *given, const char *region, struct err *err)
{
	const char *candidates[] = { given, aws_variable(aws, "AWS_REGION"),
		                     aws_variable(aws, "AWS_DEFAULT_REGION"), region };
	size_t i = 0;

	while (!candidates[i] || !*candidates[i])
		i++;
	if (!aws_region_is_valid(candidates[i])) {
		(void)err_set(err, ERR_CONFIG, "\"%.60s\" is no region of AWS", candidates[i]);
		return err_cause(err, OCI_CAUSE_AWS_REGION);
	}
	memcpy(aws->sts_region, candidates[i], strlen(candidates[i]) + 1);
	return 0;
}

struct aws_chain *aws_chain_new(const struct oci_settings *settings, struct transport *transport,
                                const char *region, struct err *err)
{
	CLEANUP(cleanup_chain) struct aws_chain *chain = calloc(1, sizeof(*chain));

	if (!chain) {
		(void)err_set_sys(err, ENOMEM, "AWS credentials");
		return NULL;
	}
	chain->aws.environment = settings->environment;
	chain->aws.transport = transport;
	if (copy_given(&settings->aws, &chain->aws.given, err) ||
	    choose_region(&chain->aws, settings->aws.region, region, err))
		return NULL;
	return STEAL(chain);
}

void aws_chain_free(struct aws_chain *chain)
{
	if (!chain)
		return;
	oci_aws_release(&chain->aws.given);
	aws_keys_release(&chain->keys);
	free(chain);
}

void aws_chain_forget(struct aws_chain *chain)
{
	aws_keys_release(&chain->keys);
}

static int no_credentials(const char *why, struct err *err)
{
	(void)err_set(err, ERR_AUTH, "no AWS credentials: %s", why);
	return err_cause(err, OCI_CAUSE_AWS_NO_CREDENTIALS);
}

static int find_usual(const struct aws *aws, struct aws_keys *out_keys, struct err *err)
{
	CLEANUP(buf_release) struct buf why = BUF_INIT(sizeof(err->msg));
	struct err one, full;

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		enum aws_found found = sources[i].find(aws, out_keys, &one);

		if (found == AWS_FOUND)
			return 0;
		if (found == AWS_FAILED) {
			*err = one;
			return -1;
		}
		/* What doesn't fit is left out of the sentence. */
		if (buf_addf(&why, &full, "%s%s: %.100s", why.size ? "; " : "", sources[i].name,
		             one.msg))
			continue;
	}
	return no_credentials(buf_text(&why), err);
}

static int find_given_or_usual(const struct aws *aws, struct aws_keys *out_keys, struct err *err)
{
	const struct oci_aws *given = &aws->given;

	if (!given->access_key)
		return find_usual(aws, out_keys, err);
	return aws_keys_set(given->access_key, given->secret_key, given->session_token,
	                    "the registry's secret", out_keys, err);
}

static int find(const struct aws *aws, struct aws_keys *out_keys, struct err *err)
{
	CLEANUP(aws_keys_release) struct aws_keys own = AWS_KEYS_NONE;

	switch (aws->given.kind) {
	case OCI_AWS_CHAIN:
	case OCI_AWS_SECRET:
		return find_given_or_usual(aws, out_keys, err);
	case OCI_AWS_STS:
		return find_given_or_usual(aws, &own, err) ||
		                       aws_sts_assume(aws, &own, out_keys, err)
		               ? -1
		               : 0;
	case OCI_AWS_POD_IDENTITY:
		break;
	}
	switch (aws_container_find(aws, out_keys, err)) {
	case AWS_FOUND:
		return 0;
	case AWS_ABSENT:
		return no_credentials("AWS_CONTAINER_CREDENTIALS_FULL_URI is not set: has the "
		                      "service account a Pod Identity association, and was the "
		                      "pod started after it was made?",
		                      err);
	case AWS_FAILED:
		break;
	}
	return -1;
}

static void keep(struct aws_chain *chain, struct aws_keys *keys)
{
	int64_t now_ms = clock_now_ms();

	aws_keys_release(&chain->keys);
	chain->keys = *keys;
	*keys = (struct aws_keys)AWS_KEYS_NONE;
	chain->renew_ms = now_ms + 1000 * aws_time_renew(chain->keys.life_s, AWS_KEYS_MARGIN_S);
	chain->end_ms = now_ms + 1000 * chain->keys.life_s;
}

int aws_chain_keys(struct aws_chain *chain, const struct aws_keys **out_keys, bool *out_kept,
                   struct err *err)
{
	CLEANUP(aws_keys_release) struct aws_keys found = AWS_KEYS_NONE;
	/* Keys without end cost nothing to look up, and their file may have changed. */
	bool kept = chain->keys.access_key && chain->keys.life_s;
	int64_t now_ms = clock_now_ms();
	struct err why;

	if (!kept || now_ms >= chain->renew_ms) {
		if (!find(&chain->aws, &found, &why)) {
			keep(chain, &found);
			kept = false;
		} else if (!kept || now_ms >= chain->end_ms || why.kind == ERR_CANCELLED) {
			*err = why;
			return -1;
		} else {
			chain->renew_ms = now_ms + 1000 * (int64_t)TOKEN_RETRY_S;
		}
	}
	*out_keys = &chain->keys;
	*out_kept = kept;
	return 0;
}
