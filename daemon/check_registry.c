/*
 * The repository and its mirrors, each asked as a sync would ask it, but for the
 * content: of that only the first bytes are taken. See check_steps.h.
 */
#include "check_steps.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "advice.h"
#include "base/cleanup.h"
#include "registry.h"
#include "storage/storage.h"

enum { ENOUGH_BYTES = 64 * 1024 };

DEFINE_CLEANUP(cleanup_client, struct oci_client, oci_client_free);

/* What listing the tags proves, in this order. */
enum stage { STAGE_REACH, STAGE_TLS, STAGE_LOGIN, STAGE_TAGS };

struct source {
	const struct oci_settings *settings;
	char name[OCI_HOST_SIZE + OCI_NAME_SIZE]; /* HOST/NAME, or the folder */
	/* Of the first source, to compare mirrors with. */
	const char *first_tag;
	const struct digest *first_digest;
};

/* Where a cause shows. */
static enum stage stage_of(int cause)
{
	if (cause >= OCI_CAUSE_HOST_UNKNOWN && cause <= OCI_CAUSE_PROXY_REFUSED)
		return STAGE_REACH;
	if (cause >= OCI_CAUSE_TLS_UNTRUSTED && cause <= OCI_CAUSE_TLS_HANDSHAKE)
		return STAGE_TLS;
	if ((cause >= OCI_CAUSE_LOGIN_MISSING && cause <= OCI_CAUSE_TOKEN_POWERLESS) ||
	    (cause >= OCI_CAUSE_AWS_NO_CREDENTIALS && cause <= OCI_CAUSE_AWS_REGION) ||
	    cause == OCI_CAUSE_REALM_REFUSED)
		return STAGE_LOGIN;
	return STAGE_TAGS;
}

/* Up to which stage a failure proves that all is well. */
static enum stage proven_by(int cause)
{
	if (!cause)
		return STAGE_REACH;
	if (stage_of(cause) < STAGE_TAGS)
		return stage_of(cause);
	return cause == OCI_CAUSE_NO_RIGHT || cause == OCI_CAUSE_POLICY ||
	                       cause == OCI_CAUSE_REPOSITORY_UNKNOWN
	               ? STAGE_TAGS
	               : STAGE_LOGIN;
}

static const char *step_name(const char *what, const char *where, char text[static CHECK_STEP_SIZE])
{
	(void)snprintf(text, CHECK_STEP_SIZE, "%s %s", what, where);
	return text;
}

/* ---- up to the tags ---- */

static void tell_tls(struct check *check, const struct oci_settings *settings)
{
	char step[CHECK_STEP_SIZE];

	step_name("TLS of", settings->reference.host, step);
	if (settings->plain_http)
		report_warning(check, step, ADVICE_NOT_ENCRYPTED,
		               "the registry is asked without TLS (--plain-http)");
	else if (settings->insecure)
		report_warning(check, step, ADVICE_NOT_VERIFIED,
		               "the registry's certificate is not checked");
	else
		report_ok(check, step, "the certificate is trusted%s",
		          settings->ca_pem ? ", with the CAs given" : "");
}

static void tell_login(struct check *check, const struct oci_settings *settings)
{
	const struct oci_credentials *credentials = &settings->credentials;
	char step[CHECK_STEP_SIZE];

	step_name("login at", settings->reference.host, step);
	if (credentials->username)
		report_ok(check, step, "as %s", credentials->username);
	else if (credentials->registry_token || credentials->identity_token)
		report_ok(check, step, "with a token");
	else if (settings->aws.access_key || settings->aws.is_ecr)
		report_ok(check, step, "with AWS credentials");
	else
		report_ok(check, step, "anonymous: no credentials are given for this host");
}

/* Which of the stages are proven, which one failed, and what it makes impossible. */
static void tell_stages(struct check *check, const struct oci_settings *settings,
                        const struct err *err)
{
	static const char *const names[] = { "reach", "TLS of", "login at", "tags of" };
	enum stage failed = err ? stage_of(err->cause) : STAGE_TAGS;
	enum stage proven = err ? proven_by(err->cause) : STAGE_TAGS;
	char step[CHECK_STEP_SIZE];

	if (proven > STAGE_REACH)
		report_ok(check, step_name("reach", settings->reference.host, step), "it answers");
	if (proven > STAGE_TLS)
		tell_tls(check, settings);
	if (proven > STAGE_LOGIN)
		tell_login(check, settings);
	if (!err)
		return;
	report_failure(check, step_name(names[failed], settings->reference.host, step), err);
	for (int rest = (int)failed + 1; rest <= (int)STAGE_TAGS; rest++)
		report_skip(check, step_name(names[rest], settings->reference.host, step),
		            "not before the step above");
}

static int list_tags(struct check *check, const struct source *source, struct oci_client *client,
                     struct oci_tags *tags)
{
	char step[CHECK_STEP_SIZE];
	struct err err = { .kind = ERR_NONE };
	int failed = oci_tags(client, tags, &err);

	step_name("tags of", source->name, step);
	if (failed && (source->settings->layout || err.kind == ERR_CANCELLED)) {
		report_failure(check, step, &err);
		return -1;
	}
	if (!source->settings->layout)
		tell_stages(check, source->settings, failed ? &err : NULL);
	if (failed)
		return -1;
	if (!tags->count) {
		(void)err_set(&err, ERR_NOT_FOUND, "%.400s is there, and has no release",
		              source->name);
		(void)err_cause(&err, ADVICE_REPOSITORY_EMPTY);
		report_failure(check, step, &err);
		return -1;
	}
	report_ok(check, step, "%zu", tags->count);
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
	return taste->is_enough ? err_set(err, ERR_CANCELLED, "enough") : 0;
}

static int taste_restart(void *ctx, struct err *err)
{
	struct taste *taste = ctx;

	(void)err;
	taste->bytes = 0;
	return 0;
}

static void check_content(struct check *check, struct oci_client *client, const char *tag,
                          const struct oci_descriptor *layer)
{
	struct taste taste = { .bytes = 0 };
	const struct oci_sink sink = { taste_write, taste_restart, &taste };
	uint64_t room = check_disk_room(check->config);
	char step[CHECK_STEP_SIZE];
	struct err err;

	step_name("content of", tag, step);
	if (oci_blob(client, layer, &sink, &err) && !taste.is_enough) {
		report_failure(check, step, &err);
		return;
	}
	report_ok(check, step, "%s of %" PRId64 " bytes",
	          taste.is_enough ? "it can be fetched; tried were the first" : "fetched, all",
	          layer->size);
	if (room && (uint64_t)layer->size > room)
		report_warning(check, step, ADVICE_DISK_LOW,
		               "it has %" PRId64 " bytes, and the data directory room for %" PRIu64,
		               layer->size, room);
}

static const char *newest_of(const struct oci_tags *tags)
{
	const char *newest = tags->names[0];

	for (size_t i = 1; i < tags->count; i++)
		if (store_tag_compare(tags->names[i], newest) > 0)
			newest = tags->names[i];
	return newest;
}

static int resolve(struct check *check, const struct source *source, struct oci_client *client,
                   const char *tag, struct digest *out_digest)
{
	char *names[] = { (char *)(uintptr_t)tag };
	char step[CHECK_STEP_SIZE], text[DIGEST_TEXT_SIZE], other[DIGEST_TEXT_SIZE];
	struct oci_resolved resolved;

	oci_resolve(client, names, 1, &resolved);
	step_name("digest of", tag, step);
	if (resolved.failed) {
		report_failure(check, step, &resolved.err);
		return -1;
	}
	*out_digest = resolved.digest;
	if (source->first_tag && !strcmp(source->first_tag, tag) &&
	    !digest_equal(source->first_digest, out_digest))
		report_warning(check, step, ADVICE_MIRROR_DIFFERS, "%s has %s, the first source %s",
		               source->name, digest_format(out_digest, text),
		               digest_format(source->first_digest, other));
	else
		report_ok(check, step, "%s", digest_format(out_digest, text));
	return 0;
}

static void check_release(struct check *check, const struct source *source,
                          struct oci_client *client, const char *tag, struct digest *out_digest)
{
	struct oci_artifact artifact;
	char step[CHECK_STEP_SIZE];
	struct err err;

	if (resolve(check, source, client, tag, out_digest))
		return;
	step_name("manifest of", tag, step);
	if (oci_manifest(client, tag, out_digest, &artifact, &err)) {
		report_failure(check, step, &err);
		report_skip(check, step_name("content of", tag, step), "not before the step above");
		return;
	}
	report_ok(check, step, "%s, %" PRId64 " bytes",
	          artifact.title[0] ? artifact.title : "a layer without a title",
	          artifact.layer.size);
	check_content(check, client, tag, &artifact.layer);
}

/* ---- each source ---- */

struct newest {
	char tag[OCI_TAG_SIZE];
	struct digest digest;
};

static void check_source(struct check *check, struct source *source, struct newest *newest)
{
	CLEANUP(cleanup_client) struct oci_client *client = NULL;
	CLEANUP(oci_tags_release) struct oci_tags tags = { .names = NULL };
	const struct oci_settings *settings = source->settings;
	struct err err;

	if (settings->layout)
		(void)snprintf(source->name, sizeof(source->name), "%s", settings->layout);
	else
		(void)snprintf(source->name, sizeof(source->name), "%s/%s",
		               settings->reference.host, settings->reference.name);
	client = oci_client_new(settings, check->cancel, &err);
	if (!client) {
		if (!err.cause)
			(void)err_cause(&err, ADVICE_REGISTRY_SETTINGS);
		report_failure(check, "repository", &err);
		return;
	}
	if (list_tags(check, source, client, &tags))
		return;
	(void)snprintf(newest->tag, sizeof(newest->tag), "%s", newest_of(&tags));
	check_release(check, source, client, newest->tag, &newest->digest);
}

void check_sources(struct check *check)
{
	CLEANUP(registry_release) struct registry registry = { .sources = NULL };
	struct newest first = { .tag = "" };
	struct err err;

	if (registry_load(check->config, &registry, &err)) {
		report_failure(check, "repository", &err);
		return;
	}
	for (size_t i = 0; i < registry.count; i++) {
		struct source source = { .settings = &registry.sources[i] };
		struct newest own = { .tag = "" };

		if (i && first.tag[0]) {
			source.first_tag = first.tag;
			source.first_digest = &first.digest;
		}
		check_source(check, &source, i ? &own : &first);
	}
}
