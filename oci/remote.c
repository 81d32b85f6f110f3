/* A registry as a source; see remote.h. */
#include "oci/remote.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "oci/answer.h"
#include "oci/limits.h"
#include "oci/manifest.h"
#include "oci/retry.h"

static void remote_free(void *self)
{
	struct remote *remote = self;

	auth_free(remote->auth);
	transport_free(remote->transport);
	free(remote->base);
	free(remote);
}

DEFINE_CLEANUP(cleanup_remote, struct remote, remote_free);

int64_t remote_not_before_ms(const void *self)
{
	const struct remote *remote = self;
	int64_t of_token = auth_not_before_ms(remote->auth);

	return of_token > remote->not_before_ms ? of_token : remote->not_before_ms;
}

int remote_refuse(const struct remote *remote, const struct exchange *exchange, struct err *err)
{
	return answer_refuse(exchange, "the registry", auth_hint(remote->auth), err);
}

int remote_may_ask(const struct remote *remote, struct err *err)
{
	int64_t left = remote->not_before_ms - clock_now_ms();

	if (left <= 0)
		return 0;
	(void)err_set(err, ERR_NETWORK,
	              "%s wants no question for %" PRId64 " seconds more (Retry-After)",
	              remote->reference.host, (left + 999) / 1000);
	return err_cause(err, OCI_CAUSE_RATE_LIMITED);
}

bool remote_heed(struct remote *remote, const struct exchange *exchange)
{
	const char *value = exchange_header(exchange, "Retry-After", 0);
	int64_t until_ms;

	/* What a redirect led to speaks for itself alone. */
	if (exchange->foreign || !answer_may_pass(exchange->status))
		return false;
	if (!value)
		return exchange->status == 429;
	until_ms = clock_now_ms() + retry_after_ms(value, exchange_header(exchange, "Date", 0));
	if (until_ms > remote->not_before_ms)
		remote->not_before_ms = until_ms;
	return true;
}

int remote_ask(struct remote *remote, struct exchange *exchange, struct err *err)
{
	struct auth_round round = { .logged_in = false };
	enum auth_verdict verdict;

	if (remote_may_ask(remote, err))
		return -1;
	do {
		struct auth_rejection rejection;

		exchange_release(exchange);
		if (auth_header(remote->auth, &exchange->authorization, err))
			return -1;
		transport_ask(remote->transport, exchange);
		if (exchange->failed) {
			*err = exchange->err;
			return -1;
		}
		verdict = AUTH_KEEP;
		if (auth_rejects(remote->auth, exchange, &rejection))
			verdict = auth_react(remote->auth, &round, &rejection, err);
		exchange->authorization = NULL;
	} while (verdict == AUTH_AGAIN);
	(void)remote_heed(remote, exchange);
	return verdict == AUTH_FAILED ? exchange_fail(exchange, err) : 0;
}

int remote_get(struct remote *remote, const char *url, const char *accept,
               struct exchange *out_exchange, struct buf *body, struct err *err)
{
	*out_exchange = (struct exchange){
		.method = EXCHANGE_GET,
		.url = url,
		.accept = accept,
		.follow = true,
		.size = EXCHANGE_ANY_SIZE,
		.max_bytes = LIMIT_MANIFEST_BYTES,
	};
	if (remote_ask(remote, out_exchange, err))
		return -1;
	if (out_exchange->status != 200)
		return remote_refuse(remote, out_exchange, err);
	return buf_add(body, buf_text(&out_exchange->body), out_exchange->body.size, err);
}

char *remote_url(const struct remote *remote, const char *kind, const char *name, struct err *err)
{
	char *url = NULL;

	if (asprintf(&url, "%s/%s/%s", remote->base, kind, name) < 0) {
		(void)err_set_sys(err, ENOMEM, "request");
		return NULL;
	}
	return url;
}

int remote_check_digest_header(const struct exchange *exchange, const struct digest *digest,
                               struct err *err)
{
	const char *header = exchange_header(exchange, "Docker-Content-Digest", 0);
	struct digest announced;
	struct err unused;

	if (!header || digest_parse(header, &announced, &unused) ||
	    announced.algorithm != digest->algorithm || digest_equal(&announced, digest))
		return 0;
	return err_set(err, ERR_DIGEST, "its Docker-Content-Digest, %.135s, is another", header);
}

static int remote_manifest(void *self, const struct digest *digest, struct buf *body,
                           char **out_type, struct err *err)
{
	struct remote *remote = self;
	char text[DIGEST_TEXT_SIZE];
	CLEANUP(cleanup_free)
	char *url = remote_url(remote, "manifests", digest_format(digest, text), err);
	CLEANUP(exchange_release) struct exchange exchange = { .url = NULL };
	const char *type;

	if (!url || remote_get(remote, url, MANIFEST_ACCEPT, &exchange, body, err) ||
	    remote_check_digest_header(&exchange, digest, err))
		return -1;
	type = exchange_header(&exchange, "Content-Type", 0);
	*out_type = type ? strdup(type) : NULL;
	return type && !*out_type ? err_set_sys(err, ENOMEM, "manifest") : 0;
}

static int pull_bytes(void *ctx, const void *bytes, size_t size, struct err *err)
{
	return pull_write(ctx, bytes, size, err);
}

static int remote_blob(void *self, struct pull *pull, struct err *err)
{
	struct remote *remote = self;
	char text[DIGEST_TEXT_SIZE];
	CLEANUP(cleanup_free)
	char *url = remote_url(remote, "blobs", digest_format(&pull->blob->digest, text), err);
	CLEANUP(exchange_release)
	struct exchange exchange = {
		.method = EXCHANGE_GET,
		.url = url,
		.follow = true,
		.size = pull->blob->size,
		.offset = pull->received,
		.sink = { .write = pull_bytes, .ctx = pull },
	};

	if (!url || remote_ask(remote, &exchange, err))
		return -1;
	if (exchange.status != 200 && exchange.status != 206)
		return remote_refuse(remote, &exchange, err);
	return 0;
}

static const struct source_ops operations = {
	.tags = remote_tags,
	.resolve = remote_resolve,
	.manifest = remote_manifest,
	.named = remote_named,
	.referrers = remote_referrers,
	.blob = remote_blob,
	.not_before_ms = remote_not_before_ms,
	.free = remote_free,
};

int remote_open(const struct oci_settings *settings, const struct cancel *cancel,
                struct source *out_source, struct err *err)
{
	CLEANUP(cleanup_remote) struct remote *remote = calloc(1, sizeof(*remote));
	char url[sizeof("https://") + OCI_HOST_SIZE];
	const struct transport_settings transport = {
		.registry_url = url,
		.plain_http = settings->plain_http,
		.insecure = settings->insecure,
		.ca_pem = settings->ca_pem,
		.cert_pem = settings->cert_pem,
		.key_pem = settings->key_pem,
		.environment = settings->environment,
		.idle_s = settings->idle_s,
		.user_agent = settings->user_agent,
		.counters = settings->counters,
	};

	if (!remote)
		return err_set_sys(err, ENOMEM, "registry client");
	remote->reference = settings->reference;
	remote->list_ms = LIMIT_LIST_MS;
	(void)snprintf(url, sizeof(url), "http%s://%s", settings->plain_http ? "" : "s",
	               settings->reference.host);
	remote->transport = transport_new(&transport, cancel, err);
	if (!remote->transport)
		return -1;
	remote->auth = auth_new(settings, url, remote->transport, err);
	if (!remote->auth)
		return -1;
	if (asprintf(&remote->base, "%s/v2/%s", url, settings->reference.name) < 0) {
		remote->base = NULL;
		return err_set_sys(err, ENOMEM, "registry client");
	}
	*out_source = (struct source){ .ops = &operations, .self = STEAL(remote) };
	return 0;
}
