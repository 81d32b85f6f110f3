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

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "log.h"
#include "oci/oci.h"
#include "recurring.h"
#include "refusals.h"
#include "registry.h"
#include "secret.h"
#include "sync_log.h"

enum { HEARTBEAT_MS = 60 * 60 * 1000 };

struct sync {
	const struct config *config;
	struct store *store;
	const struct cancel *cancel;
	struct recurring *troubles;
	struct oci_client *client; /* NULL until there is a registry to ask */
	uint64_t seen;             /* fingerprint of what the client was made from */
	struct refusals refusals;
	int64_t told_ms; /* when the last line that all is well was written */
};

/* A tag and what the registry says of it. */
struct change {
	const char *tag;
	const struct digest *manifest;
};

DEFINE_CLEANUP(cleanup_download, struct store_download, store_download_free);

struct sync *sync_new(const struct config *config, struct store *store, const struct cancel *cancel,
                      struct err *err)
{
	struct sync *sync = calloc(1, sizeof(*sync));

	if (!sync) {
		(void)err_set_sys(err, ENOMEM, "sync");
		return NULL;
	}
	sync->config = config;
	sync->store = store;
	sync->cancel = cancel;
	sync->told_ms = clock_now_ms() - HEARTBEAT_MS; /* the first round says so */
	sync->troubles = recurring_new(err);
	if (!sync->troubles) {
		free(sync);
		return NULL;
	}
	return sync;
}

void sync_free(struct sync *sync)
{
	if (!sync)
		return;
	oci_client_free(sync->client);
	recurring_free(sync->troubles);
	refusals_release(&sync->refusals);
	free(sync);
}

/* ---- telling ---- */

static void tell_trouble(struct sync *sync, const char *subject, const char *msg, const char *tag,
                         const struct err *err)
{
	if (err->kind == ERR_CANCELLED ||
	    !recurring_happened(sync->troubles, subject, err->msg, clock_now_ms()))
		return;
	log_line(LOG_ERROR, msg,
	         (struct log_field[]){ { "error", err->msg },
	                               { "kind", err_kind_name(err->kind) },
	                               { tag ? "tag" : NULL, tag },
	                               { NULL, NULL } });
}

/* ---- one tag ---- */

static int write_download(void *ctx, const void *bytes, size_t size, struct err *err)
{
	return store_download_write(ctx, bytes, size, err);
}

/* Sets *out_refused when the archive's own content is at fault. */
static int download(struct sync *sync, struct oci_client *client, const struct change *change,
                    const struct oci_artifact *artifact, struct store_release *out_release,
                    bool *out_refused, struct err *err)
{
	const struct store_source source = { change->tag, artifact->created, &artifact->manifest,
		                             &artifact->layer.digest };
	char layer[DIGEST_TEXT_SIZE], bytes[24];
	CLEANUP(cleanup_download) struct store_download *file = NULL;
	struct oci_sink sink = { .write = write_download };

	(void)snprintf(bytes, sizeof(bytes), "%" PRId64, artifact->layer.size);
	sync_log_step(
		"Downloading", change->tag,
		(struct log_field[]){ { "bytes", bytes },
	                              { "layer", digest_format(&artifact->layer.digest, layer) },
	                              { NULL, NULL } });
	file = store_download_new(sync->store, (uint64_t)artifact->layer.size, err);
	if (!file)
		return -1;
	sink.ctx = file;
	if (oci_blob(client, &artifact->layer, &sink, err))
		return -1;
	sync_log_step("listing dir", sync->config->data_dir, NULL);
	sync_log_file(artifact->title);
	sync_log_step("Persisting", change->tag, NULL);
	if (!store_publish(sync->store, &source, file, sync->cancel, out_release, err))
		return 0;
	*out_refused = err->kind == ERR_FORMAT || err->kind == ERR_LIMIT;
	return -1;
}

static int pull(struct sync *sync, struct oci_client *client, const struct change *change,
                bool *out_refused, struct err *err)
{
	struct oci_artifact artifact;
	struct store_release release;
	struct store_source source = { .tag = change->tag, .manifest = change->manifest };

	if (oci_manifest(client, change->tag, change->manifest, &artifact, err))
		return -1;
	source.created = artifact.created;
	source.layer = &artifact.layer.digest;
	/* The date in a manifest changes with each push; the layer is what counts. */
	if (store_republish(sync->store, &source, &release, err)) {
		if (err->kind != ERR_NOT_FOUND ||
		    download(sync, client, change, &artifact, &release, out_refused, err))
			return -1;
	}
	sync_log_published(sync->store, &release);
	return 0;
}

/* Whether a tag's trouble is everybody's: one bad tag must not slow the polling of the others. */
static bool counts_for_the_round(enum err_kind kind)
{
	return kind == ERR_NETWORK || kind == ERR_IO || kind == ERR_NO_SPACE ||
	       kind == ERR_CANCELLED;
}

/* The kind of a failure that counts for the round, or ERR_NONE. */
static enum err_kind pull_change(struct sync *sync, struct oci_client *client,
                                 const struct change *change)
{
	bool refused = false;
	struct err err;

	if (!pull(sync, client, change, &refused, &err)) {
		if (recurring_over(sync->troubles, change->tag))
			log_line(LOG_INFO, "Release accepted again",
			         (struct log_field[]){ { "tag", change->tag }, { NULL, NULL } });
		return ERR_NONE;
	}
	if (err.kind == ERR_FORMAT || err.kind == ERR_LIMIT || err.kind == ERR_DIGEST)
		tell_trouble(sync, change->tag, "Release refused", change->tag, &err);
	else
		tell_trouble(sync, change->tag, "Release not fetched", change->tag, &err);
	if (refused)
		refusals_add(&sync->refusals, change->tag, change->manifest);
	return counts_for_the_round(err.kind) ? err.kind : ERR_NONE;
}

/* ---- the round ---- */

static bool is_change(struct sync *sync, const struct change *change)
{
	struct store_release release;
	struct err err;

	if (refusals_has(&sync->refusals, change->tag, change->manifest))
		return false;
	return store_release_find(sync->store, change->tag, &release, &err) ||
	       !digest_equal(&release.manifest, change->manifest);
}

static int compare_changes(const void *a, const void *b)
{
	return store_tag_compare(((const struct change *)a)->tag, ((const struct change *)b)->tag);
}

/* What a round comes to when one of its parts failed so. */
static enum sync_result result_of(enum err_kind kind)
{
	switch (kind) {
	case ERR_NONE:
		return SYNC_DONE;
	case ERR_NETWORK:
		return SYNC_BROKEN_OFF;
	case ERR_CANCELLED:
		return SYNC_CANCELLED;
	default:
		return SYNC_FAILED;
	}
}

/* Which tags are to be pulled: older versions first, so that an overlay grows from its base. */
static enum err_kind find_changes(struct sync *sync, struct oci_client *client,
                                  const struct oci_tags *tags, struct oci_resolved *resolved,
                                  struct change *changes, size_t *out_count)
{
	enum err_kind failed = ERR_NONE;
	size_t count = 0;

	oci_resolve(client, tags->names, tags->count, resolved);
	for (size_t i = 0; i < tags->count; i++) {
		changes[count] = (struct change){ tags->names[i], &resolved[i].digest };
		if (resolved[i].failed) {
			tell_trouble(sync, tags->names[i], "Tag not resolved", tags->names[i],
			             &resolved[i].err);
			if (counts_for_the_round(resolved[i].err.kind))
				failed = resolved[i].err.kind;
		} else if (is_change(sync, &changes[count])) {
			count++;
		}
	}
	if (count)
		qsort(changes, count, sizeof(*changes), compare_changes);
	*out_count = count;
	return failed;
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

static void collect(struct sync *sync)
{
	uint64_t swept;
	struct err err;
	char count[24];

	if (store_collect(sync->store, &swept, &err)) {
		tell_trouble(sync, "collect", "Old objects not swept", NULL, &err);
		return;
	}
	(void)snprintf(count, sizeof(count), "%" PRIu64, swept);
	if (swept)
		log_line(LOG_DEBUG, "Swept old objects",
		         (struct log_field[]){ { "objects", count }, { NULL, NULL } });
}

static enum sync_result pull_changes(struct sync *sync, struct oci_client *client,
                                     const struct oci_tags *tags)
{
	CLEANUP(cleanup_free)
	struct oci_resolved *resolved = calloc(tags->count + 1, sizeof(*resolved));
	CLEANUP(cleanup_free) struct change *changes = calloc(tags->count + 1, sizeof(*changes));
	enum err_kind failed;
	size_t count;

	if (!resolved || !changes) {
		struct err err;

		(void)err_set_sys(&err, ENOMEM, "%zu tags", tags->count);
		tell_trouble(sync, "sync", "Sync failed", NULL, &err);
		return SYNC_FAILED;
	}
	failed = find_changes(sync, client, tags, resolved, changes, &count);
	if (cancel_is_raised(sync->cancel))
		return SYNC_CANCELLED;
	if (!count && !failed)
		tell_nothing_new(sync, tags);
	if (count) {
		log_line(LOG_INFO, "Syncing with OCI repo", NULL);
		sync_log_tags(tags);
	}
	for (size_t i = 0; i < count && !cancel_is_raised(sync->cancel); i++) {
		enum err_kind kind = pull_change(sync, client, &changes[i]);

		if (kind != ERR_NONE)
			failed = kind;
	}
	if (cancel_is_raised(sync->cancel))
		return SYNC_CANCELLED;
	if (count)
		collect(sync);
	if (count && !failed)
		log_line(LOG_INFO, "Sync done", NULL);
	return result_of(failed);
}

static enum sync_result go_round(struct sync *sync, struct err *err)
{
	CLEANUP(oci_tags_release) struct oci_tags tags = { .names = NULL };

	if (oci_tags(sync->client, &tags, err))
		return result_of(err->kind);
	if (recurring_over(sync->troubles, "sync"))
		log_line(LOG_INFO, "The registry answers again", NULL);
	return pull_changes(sync, sync->client, &tags);
}

/* Names only; what a key that is not understood holds may be a secret. */
static void tell_unknown_keys(struct sync *sync)
{
	CLEANUP(buf_release) struct buf names = BUF_INIT(4096);
	struct err err;

	if (secret_unknown_keys(sync->config->registry_secret_dir, &names, &err) || !names.size ||
	    !recurring_happened(sync->troubles, "secret's keys", names.data, clock_now_ms()))
		return;
	log_line(LOG_INFO, "Keys of the registry secret that are not understood",
	         (struct log_field[]){ { "keys", names.data }, { NULL, NULL } });
}

static void drop_client(struct sync *sync)
{
	oci_client_free(sync->client);
	sync->client = NULL;
}

/* The client lives, with its connections and tokens, until what it was made from changes. */
static int renew_client(struct sync *sync, struct err *err)
{
	CLEANUP(registry_release) struct registry registry = { .sources = NULL };
	uint64_t seen = registry_fingerprint(sync->config);

	if (sync->client && seen == sync->seen)
		return 0;
	drop_client(sync);
	if (registry_load(sync->config, &registry, err))
		return -1;
	if (recurring_over(sync->troubles, "secret"))
		log_line(LOG_INFO, "The registry secret is there", NULL);
	tell_unknown_keys(sync);
	sync->client = oci_client_new(registry.sources, sync->cancel, err);
	sync->seen = seen;
	if (!sync->client && err->kind == ERR_NOT_FOUND) /* which here means: no secret yet */
		err->kind = ERR_CONFIG;
	return sync->client ? 0 : -1;
}

enum sync_result sync_round(struct sync *sync)
{
	struct err err = { .kind = ERR_NONE };
	enum sync_result result;

	if (!renew_client(sync, &err)) {
		result = go_round(sync, &err);
	} else if (err.kind != ERR_NOT_FOUND) {
		result = SYNC_FAILED;
	} else {
		if (recurring_happened(sync->troubles, "secret", err.msg, clock_now_ms()))
			log_line(LOG_WARNING, "Waiting for the registry secret",
			         (struct log_field[]){ { "reason", err.msg }, { NULL, NULL } });
		return SYNC_WAITING;
	}
	if (err.kind != ERR_NONE)
		tell_trouble(sync, "sync", "Sync failed", NULL, &err);
	/* After a refused login everything is read anew, also what did not seem to change. */
	if (err.kind == ERR_AUTH)
		drop_client(sync);
	return result;
}
