/*
 * The client of one repository (see oci.h): what is asked for tags, manifests
 * and blobs, and what of the answers is believed.
 */
#include "oci/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/answer.h"
#include "oci/limits.h"
#include "oci/link.h"
#include "oci/manifest.h"
#include "oci/nameset.h"
#include "oci/tags.h"

DEFINE_CLEANUP(cleanup_client, struct oci_client, oci_client_free);
DEFINE_CLEANUP(cleanup_hasher, struct hasher, hasher_free);

struct oci_client *oci_client_new(const struct oci_settings *settings, const struct cancel *cancel,
                                  struct err *err)
{
	CLEANUP(cleanup_client) struct oci_client *client = calloc(1, sizeof(*client));
	struct transport_settings transport = {
		.plain_http = settings->plain_http,
		.insecure = settings->insecure,
		.ca_pem = settings->ca_pem,
		.cert_pem = settings->cert_pem,
		.key_pem = settings->key_pem,
		.environment = settings->environment,
		.user_agent = settings->user_agent,
	};
	char url[sizeof("https://") + OCI_HOST_SIZE];

	if (!client) {
		(void)err_set_sys(err, ENOMEM, "registry client");
		return NULL;
	}
	client->reference = settings->reference;
	(void)snprintf(url, sizeof(url), "http%s://%s", settings->plain_http ? "" : "s",
	               settings->reference.host);
	transport.registry_url = url;
	client->transport = transport_new(&transport, cancel, err);
	if (!client->transport)
		return NULL;
	client->auth = auth_new(settings, url, client->transport, err);
	if (!client->auth)
		return NULL;
	if (asprintf(&client->base, "%s/v2/%s", url, settings->reference.name) < 0) {
		client->base = NULL;
		(void)err_set_sys(err, ENOMEM, "registry client");
		return NULL;
	}
	return STEAL(client);
}

void oci_client_free(struct oci_client *client)
{
	if (!client)
		return;
	auth_free(client->auth);
	transport_free(client->transport);
	free(client->base);
	free(client);
}

struct oci_counters oci_client_counters(const struct oci_client *client)
{
	return transport_counters(client->transport);
}

int client_refuse(const struct oci_client *client, const struct exchange *exchange, struct err *err)
{
	return answer_refuse(exchange, "the registry", auth_hint(client->auth), err);
}

/* Ask, and authenticate when that is asked for. 0: there is an answer, of whatever status. */
static int ask(struct oci_client *client, struct exchange *exchange, struct err *err)
{
	struct auth_round round = { .logged_in = false };
	enum auth_verdict verdict;

	do {
		struct auth_rejection rejection;

		exchange_release(exchange);
		if (auth_header(client->auth, &exchange->authorization, err))
			return -1;
		transport_ask(client->transport, exchange);
		if (exchange->failed) {
			*err = exchange->err;
			return -1;
		}
		verdict = AUTH_KEEP;
		if (auth_rejects(client->auth, exchange, &rejection))
			verdict = auth_react(client->auth, &round, &rejection, err);
		exchange->authorization = NULL;
	} while (verdict == AUTH_AGAIN);
	return verdict == AUTH_FAILED ? -1 : 0;
}

char *client_url(const struct oci_client *client, const char *kind, const char *name,
                 struct err *err)
{
	char *url = NULL;

	if (asprintf(&url, "%s/%s/%s", client->base, kind, name) < 0) {
		(void)err_set_sys(err, ENOMEM, "request");
		return NULL;
	}
	return url;
}

void oci_tags_release(struct oci_tags *tags)
{
	for (size_t i = 0; i < tags->count; i++)
		free(tags->names[i]);
	free(tags->names);
	tags->names = NULL;
	tags->count = 0;
}

enum page { PAGE_LAST, PAGE_MORE, PAGE_RESTART, PAGE_FAILED };

/* For `return page_failed(err_set(…))`. */
static enum page page_failed(int failed)
{
	(void)failed;
	return PAGE_FAILED;
}

/* The URL of the page behind the one just read, or NULL with *out_failed set on a bad one. */
static char *next_page(const struct exchange *exchange, bool *out_failed, struct err *err)
{
	CLEANUP(cleanup_free) char *target = NULL;
	const char *line;
	char *url;

	*out_failed = false;
	for (size_t i = 0; !target && (line = exchange_header(exchange, "Link", i)); i++)
		target = link_next(line);
	if (!target)
		return NULL;
	url = link_resolve(exchange->url, target, err);
	*out_failed = !url;
	return url;
}

/* Read the page at *url; *url becomes that of the next one. */
static enum page read_page(struct oci_client *client, struct nameset *tags, char **url, size_t page,
                           struct err *err)
{
	CLEANUP(exchange_release)
	struct exchange exchange = {
		.method = EXCHANGE_GET,
		.url = *url,
		.accept = "application/json",
		.follow = true,
		.size = EXCHANGE_ANY_SIZE,
		.max_bytes = LIMIT_TAG_PAGE_BYTES,
	};
	bool failed = false;
	char *next;

	if (ask(client, &exchange, err))
		return PAGE_FAILED;
	/* Quay and others refuse a large n. */
	if (page == 0 && strchr(*url, '?') && (exchange.status == 400 || exchange.status == 413)) {
		*strchr(*url, '?') = '\0';
		return PAGE_MORE;
	}
	/* zot, when the tag that the page starts behind has been deleted meanwhile. */
	if (page > 0 && exchange.status == 404)
		return PAGE_RESTART;
	if (exchange.status != 200)
		return page_failed(client_refuse(client, &exchange, err));
	if (tags_add_page(tags, buf_text(&exchange.body), exchange.body.size, err))
		return PAGE_FAILED;
	next = next_page(&exchange, &failed, err);
	if (failed)
		return PAGE_FAILED;
	free(*url);
	*url = next;
	return next ? PAGE_MORE : PAGE_LAST;
}

static enum page read_list(struct oci_client *client, struct nameset *tags, struct err *err)
{
	CLEANUP(nameset_release) struct nameset seen = NAMESET_INIT;
	CLEANUP(cleanup_free) char *url = NULL;

	if (asprintf(&url, "%s/tags/list?n=%d", client->base, LIMIT_TAGS_ASKED) < 0) {
		url = NULL;
		return page_failed(err_set_sys(err, ENOMEM, "request"));
	}
	for (size_t page = 0; page < LIMIT_TAG_PAGES; page++) {
		enum page result;

		if (nameset_has(&seen, url))
			return page_failed(err_set(err, ERR_LIMIT, "its pages form a loop"));
		if (nameset_add(&seen, url, LIMIT_TAG_PAGES, err))
			return PAGE_FAILED;
		result = read_page(client, tags, &url, page, err);
		if (result != PAGE_MORE)
			return result;
	}
	return page_failed(err_set(err, ERR_LIMIT, "more than %d pages", LIMIT_TAG_PAGES));
}

int oci_tags(struct oci_client *client, struct oci_tags *out_tags, struct err *err)
{
	enum page result = PAGE_RESTART;

	for (int start = 0; result == PAGE_RESTART && start < LIMIT_LIST_STARTS; start++) {
		CLEANUP(nameset_release) struct nameset tags = NAMESET_INIT;

		result = read_list(client, &tags, err);
		if (result == PAGE_LAST)
			out_tags->names = nameset_steal(&tags, &out_tags->count);
	}
	if (result == PAGE_LAST)
		return 0;
	if (result == PAGE_RESTART)
		(void)err_set(err, ERR_NETWORK, "the list changed under our hands %d times",
		              LIMIT_LIST_STARTS);
	return err_context(err, "tags of %s/%s", client->reference.host, client->reference.name);
}

/* Fetch a manifest by its digest and prove that it is the one. */
static int fetch_manifest(struct oci_client *client, const struct digest *digest,
                          struct manifest *out_manifest, int64_t *out_size, struct err *err)
{
	char text[DIGEST_TEXT_SIZE];
	CLEANUP(cleanup_free)
	char *url = client_url(client, "manifests", digest_format(digest, text), err);
	CLEANUP(exchange_release)
	struct exchange exchange = {
		.method = EXCHANGE_GET,
		.url = url,
		.accept = MANIFEST_ACCEPT,
		.follow = true,
		.size = EXCHANGE_ANY_SIZE,
		.max_bytes = LIMIT_MANIFEST_BYTES,
	};
	char found_text[DIGEST_TEXT_SIZE];
	struct digest found;

	if (!url || ask(client, &exchange, err))
		return -1;
	if (exchange.status != 200)
		return client_refuse(client, &exchange, err);
	if (digest_of(digest->algorithm, buf_text(&exchange.body), exchange.body.size, &found, err))
		return -1;
	if (!digest_equal(&found, digest))
		return err_set(err, ERR_DIGEST, "the %zu bytes that came have the digest %s",
		               exchange.body.size, digest_format(&found, found_text));
	if (client_check_digest_header(&exchange, digest, err))
		return -1;
	*out_size = (int64_t)exchange.body.size;
	return manifest_read(buf_text(&exchange.body), exchange.body.size,
	                     exchange_header(&exchange, "Content-Type", 0), manifest_platform(),
	                     out_manifest, err);
}

int client_check_digest_header(const struct exchange *exchange, const struct digest *digest,
                               struct err *err)
{
	const char *header = exchange_header(exchange, "Docker-Content-Digest", 0);
	struct digest announced;
	struct err unused;

	if (!header || digest_parse(header, &announced, &unused) ||
	    announced.algorithm != digest->algorithm || digest_equal(&announced, digest))
		return 0;
	return err_set(err, ERR_DIGEST, "Docker-Content-Digest says %.135s, the bytes differ",
	               header);
}

/* The manifest that an index leads to. An index in an index leads on no further. */
static int follow_index(struct oci_client *client, struct manifest *manifest, struct err *err)
{
	const struct oci_descriptor entry = manifest->chosen;
	char text[DIGEST_TEXT_SIZE];
	int64_t size = 0;
	int failed;

	if (entry.size > LIMIT_MANIFEST_BYTES)
		failed = err_set(err, ERR_LIMIT, "it is said to have %" PRId64 " bytes",
		                 entry.size);
	else
		failed = fetch_manifest(client, &entry.digest, manifest, &size, err);
	if (!failed && size != entry.size)
		failed = err_set(err, ERR_DIGEST,
		                 "it has %" PRId64 " bytes instead of the %" PRId64
		                 " of its descriptor",
		                 size, entry.size);
	if (!failed && manifest->is_index)
		failed = err_set(err, ERR_FORMAT, "it is an index within an index");
	if (failed)
		return err_context(err, "its manifest %s", digest_format(&entry.digest, text));
	return 0;
}

int oci_manifest(struct oci_client *client, const char *tag, const struct digest *digest,
                 struct oci_artifact *out_artifact, struct err *err)
{
	struct oci_artifact artifact = { .manifest = *digest };
	struct manifest manifest = { .is_index = false };
	char text[DIGEST_TEXT_SIZE];
	int64_t size = 0;

	if (fetch_manifest(client, digest, &manifest, &size, err) ||
	    (manifest.is_index && follow_index(client, &manifest, err)))
		return err_context(err, "manifest %s of tag %s of %s/%s",
		                   digest_format(digest, text), tag, client->reference.host,
		                   client->reference.name);
	artifact.layer = manifest.chosen;
	memcpy(artifact.title, manifest.title, sizeof(artifact.title));
	memcpy(artifact.created, manifest.created, sizeof(artifact.created));
	*out_artifact = artifact;
	return 0;
}

/* Between the wire and the caller's sink: every byte is hashed on its way. */
struct tee {
	struct hasher *hasher;
	const struct oci_sink *sink;
};

static int tee_write(void *ctx, const void *bytes, size_t size, struct err *err)
{
	const struct tee *tee = ctx;

	if (hasher_add(tee->hasher, bytes, size, err))
		return -1;
	return tee->sink->write(tee->sink->ctx, bytes, size, err);
}

static int fetch_blob(struct oci_client *client, const struct oci_descriptor *blob,
                      const char *name, const struct oci_sink *sink, struct err *err)
{
	CLEANUP(cleanup_hasher) struct hasher *hasher = hasher_new(blob->digest.algorithm, err);
	CLEANUP(cleanup_free) char *url = client_url(client, "blobs", name, err);
	struct tee tee = { hasher, sink };
	CLEANUP(exchange_release)
	struct exchange exchange = {
		.method = EXCHANGE_GET,
		.url = url,
		.follow = true,
		.size = blob->size,
		.sink = { .write = tee_write, .ctx = &tee },
	};
	char found_text[DIGEST_TEXT_SIZE];
	struct digest found;

	if (!hasher || !url || ask(client, &exchange, err))
		return -1;
	if (exchange.status != 200)
		return client_refuse(client, &exchange, err);
	if (hasher_end(hasher, &found, err))
		return -1;
	if (!digest_equal(&found, &blob->digest))
		return err_set(err, ERR_DIGEST,
		               "the %" PRId64 " bytes that came have the digest %s", blob->size,
		               digest_format(&found, found_text));
	return 0;
}

int oci_blob(struct oci_client *client, const struct oci_descriptor *blob,
             const struct oci_sink *sink, struct err *err)
{
	char name[DIGEST_TEXT_SIZE];

	(void)digest_format(&blob->digest, name);
	if (fetch_blob(client, blob, name, sink, err))
		return err_context(err, "blob %s of %s/%s", name, client->reference.host,
		                   client->reference.name);
	return 0;
}
