/*
 * The repository and its mirrors, each asked as a sync would ask it, but for the
 * content: of that only the first bytes are taken. See check_steps.h.
 */
#include "check_steps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advice.h"
#include "base/cleanup.h"
#include "policy.h"
#include "registry.h"

enum { ENOUGH_BYTES = 64 * 1024 };

DEFINE_CLEANUP(cleanup_client, struct oci_client, oci_client_free);
DEFINE_CLEANUP(cleanup_policy, struct policy, policy_free);

/* What is asked of each source, in this order. The first four are proven by one list of tags. */
enum step { REACH, TLS, LOGIN, TAGS, DIGEST, SIGNATURE, MANIFEST, CONTENT, STEP_COUNT };

static const char *const names[] = { "reach",  "TLS",       "login",    "tags",
	                             "digest", "signature", "manifest", "content" };

/* A release that a source has. */
struct release {
	char tag[OCI_TAG_SIZE]; /* "": none */
	struct digest digest;
};

struct source {
	const struct oci_settings *settings;
	char name[OCI_HOST_SIZE + OCI_NAME_SIZE]; /* HOST/NAME, or the folder */
	struct oci_client *client;
	struct release newest;
};

static void skip_behind(struct check *check, enum step step)
{
	for (int rest = (int)step + 1; rest < (int)STEP_COUNT; rest++)
		if (rest != SIGNATURE || check->config->verify_key.count)
			report_skip(check, names[rest], "needs the step above");
}

static void fail(struct check *check, enum step step, const struct err *err)
{
	report_failure(check, names[step], err);
	skip_behind(check, step);
}

/* ---- up to the tags ---- */

/* The step at which a cause shows. */
static enum step step_of(int cause)
{
	if (cause >= OCI_CAUSE_HOST_UNKNOWN && cause <= OCI_CAUSE_PROXY_REFUSED)
		return REACH;
	if (cause >= OCI_CAUSE_TLS_UNTRUSTED && cause <= OCI_CAUSE_TLS_HANDSHAKE)
		return TLS;
	if ((cause >= OCI_CAUSE_LOGIN_MISSING && cause <= OCI_CAUSE_TOKEN_POWERLESS) ||
	    (cause >= OCI_CAUSE_AWS_NO_CREDENTIALS && cause <= OCI_CAUSE_AWS_REGION) ||
	    cause == OCI_CAUSE_REALM_REFUSED || cause == OCI_CAUSE_NO_TOKEN_SERVER)
		return LOGIN;
	return TAGS;
}

/* The first step of which a failure does not prove that it went well. */
static enum step unproven_by(int cause)
{
	if (!cause)
		return REACH;
	if (step_of(cause) < TAGS)
		return step_of(cause);
	return cause == OCI_CAUSE_NO_RIGHT || cause == OCI_CAUSE_POLICY ||
	                       cause == OCI_CAUSE_REPOSITORY_UNKNOWN
	               ? TAGS
	               : LOGIN;
}

static void tell_tls(struct check *check, const struct oci_settings *settings)
{
	const char *host = settings->reference.host;

	if (settings->plain_http)
		report_warning(check, names[TLS], ADVICE_NOT_ENCRYPTED,
		               "%s is asked without (--plain-http)", host);
	else if (settings->insecure)
		report_warning(check, names[TLS], ADVICE_NOT_VERIFIED,
		               "the certificate of %s is not checked", host);
	else
		report_ok(check, names[TLS], "%s has a certificate that is trusted%s", host,
		          settings->ca_pem ? " (with the CAs that were given)" : "");
}

static void tell_login(struct check *check, const struct oci_settings *settings)
{
	const struct oci_credentials *credentials = &settings->credentials;
	const char *host = settings->reference.host;

	if (credentials->username)
		report_ok(check, names[LOGIN], "%s knows %s", host, credentials->username);
	else if (credentials->registry_token || credentials->identity_token)
		report_ok(check, names[LOGIN], "%s takes the token", host);
	else if (oci_uses_aws(settings))
		report_ok(check, names[LOGIN], "%s takes the AWS credentials%s", host,
		          settings->aws.kind == OCI_AWS_CHAIN ? " found here, if it asks for any"
		                                              : "");
	else
		report_ok(check, names[LOGIN],
		          "anonymous: no credentials are given for %s, and none are asked for",
		          host);
}

static void tell_proven(struct check *check, const struct oci_settings *settings,
                        enum step unproven)
{
	if (settings->layout)
		return;
	if (unproven > REACH)
		report_ok(check, names[REACH], "%s answers", settings->reference.host);
	if (unproven > TLS)
		tell_tls(check, settings);
	if (unproven > LOGIN)
		tell_login(check, settings);
}

static int list_tags(struct check *check, struct source *source, struct oci_tags *tags)
{
	struct err err;

	if (oci_tags(source->client, tags, &err)) {
		tell_proven(check, source->settings, unproven_by(err.cause));
		fail(check, step_of(err.cause), &err);
		return -1;
	}
	tell_proven(check, source->settings, TAGS);
	if (!tags->count) {
		(void)err_set(&err, ERR_NOT_FOUND, "%.400s is there, and has no release",
		              source->name);
		(void)err_cause(&err, ADVICE_REPOSITORY_EMPTY);
		fail(check, TAGS, &err);
		return -1;
	}
	return 0;
}

/* ---- the newest release ---- */

struct taste {
	uint64_t bytes;
	bool is_enough;
};

static int taste_write(void *ctx, const void *bytes, size_t size, struct err *err)
{
	struct taste *taste = ctx;

	(void)bytes;
	taste->bytes += size;
	taste->is_enough = taste->bytes >= ENOUGH_BYTES;
	return taste->is_enough ? err_set(err, ERR_CANCELLED, "these bytes are enough") : 0;
}

static int taste_restart(void *ctx, struct err *err)
{
	struct taste *taste = ctx;

	(void)err;
	taste->bytes = 0;
	return 0;
}

static void check_content(struct check *check, struct source *source,
                          const struct oci_descriptor *layer)
{
	const char *tag = source->newest.tag;
	struct taste taste = { .bytes = 0 };
	const struct oci_sink sink = { .write = taste_write,
		                       .restart = taste_restart,
		                       .ctx = &taste };
	uint64_t room = check_disk_room(check->config);
	struct err err;

	if (oci_blob(source->client, layer, &sink, &err) && !taste.is_enough) {
		fail(check, CONTENT, &err);
		return;
	}
	if (taste.is_enough)
		report_ok(check, names[CONTENT],
		          "%s: its first %" PRIu64 " of %" PRId64 " bytes came", tag, taste.bytes,
		          layer->size);
	else
		report_ok(check, names[CONTENT], "%s: its %" PRId64 " bytes came, and are right",
		          tag, layer->size);
	if (room && (uint64_t)layer->size > room)
		report_warning(check, names[CONTENT], ADVICE_DISK_LOW,
		               "%s: for its %" PRId64 " bytes the data directory has only %" PRIu64
		               " free",
		               tag, layer->size, room);
}

/* `first` is what the first source has, for a mirror to be compared with. */
static int resolve(struct check *check, struct source *source, const struct release *first)
{
	char *tags[] = { source->newest.tag };
	char text[DIGEST_TEXT_SIZE], other[DIGEST_TEXT_SIZE];
	struct oci_resolved resolved;

	oci_resolve(source->client, tags, 1, &resolved);
	if (resolved.failed) {
		fail(check, DIGEST, &resolved.err);
		return -1;
	}
	source->newest.digest = resolved.digest;
	(void)digest_format(&resolved.digest, text);
	if (!strcmp(first->tag, tags[0]) && !digest_equal(&first->digest, &resolved.digest))
		report_warning(check, names[DIGEST], ADVICE_MIRROR_DIFFERS,
		               "%s of %s is %s, and at the first source %s", tags[0], source->name,
		               text, digest_format(&first->digest, other));
	else
		report_ok(check, names[DIGEST], "%s is %s", tags[0], text);
	return 0;
}

static void check_newest(struct check *check, struct source *source, const struct release *first)
{
	const char *tag = source->newest.tag;
	struct oci_artifact artifact;
	struct err err;

	if (resolve(check, source, first))
		return;
	if (check->config->verify_key.count &&
	    check_signature(check, source->client, tag, &source->newest.digest)) {
		skip_behind(check, SIGNATURE);
		return;
	}
	if (oci_manifest(source->client, tag, &source->newest.digest, &artifact, &err)) {
		fail(check, MANIFEST, &err);
		return;
	}
	report_ok(check, names[MANIFEST], "%s has %s, %" PRId64 " bytes", tag,
	          artifact.title[0] ? artifact.title : "a layer without a title",
	          artifact.layer.size);
	check_content(check, source, &artifact.layer);
}

/* ---- which tags ---- */

/* The tags that a first round would ask for, newest first; their texts are the list's. */
struct taken {
	struct oci_tags tags;
};

static void taken_release(struct taken *taken)
{
	free(taken->tags.names);
}

static int take_tags(const struct config *config, const struct oci_tags *listed,
                     struct taken *taken, struct err *err)
{
	CLEANUP(cleanup_free) struct policy_tag *tags = calloc(listed->count + 1, sizeof(*tags));
	CLEANUP(cleanup_policy) struct policy *policy = policy_new(config, err);

	taken->tags.names = calloc(listed->count + 1, sizeof(*taken->tags.names));
	if (!policy)
		return -1;
	if (!tags || !taken->tags.names)
		return err_set_sys(err, ENOMEM, "%zu tags", listed->count);
	for (size_t i = 0; i < listed->count; i++)
		tags[i] = (struct policy_tag){ .tag = listed->names[i], .is_listed = true };
	policy_judge(policy, tags, listed->count);
	(void)policy_next(policy, tags, listed->count);
	for (size_t i = 0; i < listed->count; i++)
		if (tags[i].is_next)
			taken->tags.names[taken->tags.count++] = (char *)(uintptr_t)tags[i].tag;
	if (taken->tags.count)
		return 0;
	(void)err_set(err, ERR_NOT_FOUND,
	              "none of %zu is taken: --tag-include, --tag-exclude and --tag-semver leave "
	              "nothing",
	              listed->count);
	return err_cause(err, ADVICE_REPOSITORY_EMPTY);
}

/* ---- each source ---- */

static void ask(struct check *check, struct source *source, const struct release *first)
{
	CLEANUP(oci_tags_release) struct oci_tags tags = { .names = NULL };
	CLEANUP(taken_release) struct taken taken = { .tags = { .names = NULL } };
	struct err err;

	if (list_tags(check, source, &tags))
		return;
	if (take_tags(check->config, &tags, &taken, &err)) {
		(void)err_context(&err, "%.300s", source->name);
		fail(check, TAGS, &err);
		return;
	}
	(void)snprintf(source->newest.tag, sizeof(source->newest.tag), "%s", taken.tags.names[0]);
	if (taken.tags.count == tags.count)
		report_ok(check, names[TAGS], "%s has %zu, the newest is %s", source->name,
		          tags.count, source->newest.tag);
	else
		report_ok(check, names[TAGS],
		          "%s has %zu, of which %zu are taken; the newest of these is %s",
		          source->name, tags.count, taken.tags.count, source->newest.tag);
	check_newest(check, source, first);
	check_older_signatures(check, source->client, &taken.tags);
}

static void check_source(struct check *check, const struct oci_settings *settings,
                         struct release *first)
{
	CLEANUP(cleanup_client) struct oci_client *client = NULL;
	struct source source = { .settings = settings };
	struct err err;

	if (settings->layout)
		(void)snprintf(source.name, sizeof(source.name), "%s", settings->layout);
	else
		(void)snprintf(source.name, sizeof(source.name), "%s/%s", settings->reference.host,
		               settings->reference.name);
	client = source.client = oci_client_new(settings, 1, NULL, check->cancel, &err);
	if (client) {
		/* Somebody waits for the answer, whatever it is. */
		oci_client_set_retries(client, 0);
		ask(check, &source, first);
	} else {
		if (!err.cause)
			(void)err_cause(&err, ADVICE_REGISTRY_SETTINGS);
		fail(check, REACH, &err);
	}
	if (!first->tag[0])
		*first = source.newest;
}

void check_sources(struct check *check)
{
	CLEANUP(registry_release) struct registry registry = { .sources = NULL };
	struct release first = { .tag = "" };
	struct err err;

	if (registry_load(check->config, &registry, &err)) {
		report_failure(check, "repository", &err);
		report_skip(check, names[REACH], "nobody is known to be asked");
		return;
	}
	for (size_t i = 0; i < registry.count; i++)
		check_source(check, &registry.sources[i], &first);
}
