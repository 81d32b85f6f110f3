/*
 * The client of a repository (see oci.h): which source is asked, when it is
 * asked again, and the proof of what it answers.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "oci/client.h"
#include "oci/counters.h"
#include "oci/layout.h"
#include "oci/limits.h"
#include "oci/manifest.h"
#include "oci/oci.h"
#include "oci/pull.h"
#include "oci/remote.h"
#include "oci/retry.h"

DEFINE_CLEANUP(cleanup_client, struct oci_client, oci_client_free);

static int line_open(struct line *line, const struct oci_settings *settings,
                     const struct cancel *cancel, struct err *err)
{
	if (settings->layout) {
		(void)snprintf(line->name, sizeof(line->name), "oci-layout:%s", settings->layout);
		return layout_source_open(settings->layout, settings->counters, cancel,
		                          &line->source, err);
	}
	(void)snprintf(line->name, sizeof(line->name), "%s/%s", settings->reference.host,
	               settings->reference.name);
	return remote_open(settings, cancel, &line->source, err)
	               ? err_context(err, "%s", line->name)
	               : 0;
}

struct oci_client *oci_client_new(const struct oci_settings *sources, size_t count,
                                  const struct oci_observer *observer, const struct cancel *cancel,
                                  struct err *err)
{
	CLEANUP(cleanup_client) struct oci_client *client = calloc(1, sizeof(*client));

	if (client)
		client->lines = calloc(count, sizeof(*client->lines));
	if (!client || !client->lines) {
		(void)err_set_sys(err, ENOMEM, "registry client");
		return NULL;
	}
	client->cancel = cancel;
	client->counters = count ? sources[0].counters : NULL;
	client->retries = LIMIT_RETRIES;
	client->search_ms = LIMIT_SEARCH_MS;
	if (observer)
		client->observer = *observer;
	for (; client->count < count; client->count++)
		if (line_open(&client->lines[client->count], &sources[client->count], cancel, err))
			return NULL;
	return STEAL(client);
}

void oci_client_set_retries(struct oci_client *client, unsigned retries)
{
	client->retries = retries;
}

void oci_client_free(struct oci_client *client)
{
	if (!client)
		return;
	for (size_t i = 0; i < client->count; i++)
		client->lines[i].source.ops->free(client->lines[i].source.self);
	free(client->lines);
	free(client);
}

static void tell(const struct oci_client *client, enum oci_notice_kind kind,
                 const struct line *line, const char *subject, const char *detail, int64_t pause_ms)
{
	counters_notice(client->counters, kind);
	if (client->observer.notice)
		client->observer.notice(client->observer.ctx, kind, line->name, subject, detail,
		                        pause_ms);
}

/* ---- one after the other ---- */

/* A walk over the lines from `first` on: those that are not down, then those that are. */
struct walk {
	size_t first;
	size_t step;
};

static struct walk walk_from(struct oci_client *client, size_t first)
{
	int64_t now_ms = clock_now_ms();

	for (size_t i = 0; i < client->count; i++)
		client->lines[i].is_late = client->lines[i].down_until_ms > now_ms;
	return (struct walk){ .first = first };
}

static struct line *walk_next(struct oci_client *client, struct walk *walk)
{
	while (walk->step < 2 * client->count) {
		struct line *line = &client->lines[(walk->first + walk->step) % client->count];
		bool is_second_turn = walk->step++ >= client->count;

		if (line->is_late == is_second_turn)
			return line;
	}
	return NULL;
}

static void mark(struct line *line, const struct err *err)
{
	line->down_until_ms = err && err->kind == ERR_NETWORK ? clock_now_ms() + RETRY_DOWN_MS : 0;
}

/* Put one source's failure beside those of the others. One that may pass makes all worth a try. */
static void add_failure(const struct oci_client *client, struct err *all, const struct line *line,
                        struct err *one)
{
	char msg[sizeof(all->msg)];

	if (client->count > 1)
		(void)err_context(one, "%s", line->name);
	if (all->kind == ERR_NONE) {
		*all = *one;
		return;
	}
	memcpy(msg, all->msg, sizeof(msg));
	(void)snprintf(all->msg, sizeof(all->msg), "%.*s; %.*s", (int)sizeof(msg) / 2 - 2, msg,
	               (int)sizeof(msg) / 2 - 2, one->msg);
	/* Who could not be asked for a signature may have one. */
	if (retry_may_help(one) || (all->kind == ERR_UNSIGNED && one->kind != ERR_UNSIGNED)) {
		all->kind = one->kind;
		all->cause = one->cause;
	}
}

/* Wait before all sources are asked again. -1: they are not; *failure stands, or says
 * ERR_CANCELLED. */
static int pause_before_retry(struct oci_client *client, const char *subject, struct err *failure)
{
	int64_t now_ms = clock_now_ms();
	int64_t least_ms = INT64_MAX;
	int64_t pause_ms;

	if (!retry_may_help(failure) || client->pauses >= client->retries)
		return -1;
	/* The one that is ready first sets the time. */
	for (size_t i = 0; i < client->count; i++) {
		const struct source *source = &client->lines[i].source;
		int64_t until_ms = source->ops->not_before_ms
		                           ? source->ops->not_before_ms(source->self)
		                           : 0;
		int64_t left_ms = until_ms > now_ms ? until_ms - now_ms : 0;

		if (left_ms < least_ms)
			least_ms = left_ms;
	}
	if (least_ms > LIMIT_RETRY_WAIT_MS)
		return -1;
	pause_ms = retry_pause_ms(client->pauses++, least_ms);
	tell(client, OCI_NOTICE_RETRY, &client->lines[0], subject, failure->msg, pause_ms);
	return retry_wait(client->cancel, pause_ms, failure);
}

static int ask_once(struct oci_client *client, const struct question *question,
                    struct line **out_line, struct err *err)
{
	struct walk walk = walk_from(client, question->first);
	struct err all = { .kind = ERR_NONE };
	struct line *line = walk_next(client, &walk);

	while (line) {
		struct line *next;
		struct err one;
		int result = question->ask(line, question->ctx, &one);

		mark(line, result == ASK_DONE ? NULL : &one);
		if (result == ASK_DONE) {
			*out_line = line;
			return 0;
		}
		if (result == ASK_FINAL || one.kind == ERR_CANCELLED) {
			*err = one;
			return -1;
		}
		add_failure(client, &all, line, &one);
		next = walk_next(client, &walk);
		if (next)
			tell(client, OCI_NOTICE_FAILED_OVER, line, question->subject, one.msg, 0);
		line = next;
	}
	*err = all;
	return -1;
}

int client_ask(struct oci_client *client, const struct question *question, struct line **out_line,
               struct err *err)
{
	struct err failure;

	while (ask_once(client, question, out_line, &failure)) {
		if (pause_before_retry(client, question->subject, &failure)) {
			*err = failure;
			return -1;
		}
	}
	return 0;
}

int client_context(const struct oci_client *client, const char *subject, struct err *err)
{
	if (client->count > 1)
		return err_context(err, "%s", subject);
	return err_context(err, "%s of %s", subject, client->lines[0].name);
}

/* ---- tags ---- */

void oci_tags_release(struct oci_tags *tags)
{
	for (size_t i = 0; i < tags->count; i++)
		free(tags->names[i]);
	free(tags->names);
	tags->names = NULL;
	tags->count = 0;
}

static int ask_tags(struct line *line, void *ctx, struct err *err)
{
	return line->source.ops->tags(line->source.self, ctx, err);
}

int oci_tags(struct oci_client *client, struct oci_tags *out_tags, struct err *err)
{
	const struct question question = { ask_tags, out_tags, "tags", 0 };
	struct line *line;

	client->pauses = 0;
	if (client_ask(client, &question, &line, err))
		return client_context(client, "tags", err);
	client->lister = (size_t)(line - client->lines);
	out_tags->source = client->lister;
	return 0;
}

/* ---- digests ---- */

/* Some of the tags, gathered for one question, and where their answers belong. */
struct batch {
	char **tags;
	size_t *places;
	struct oci_resolved *answers;
	size_t count;
};

static void batch_release(struct batch *batch)
{
	free(batch->tags);
	free(batch->places);
	free(batch->answers);
}

static int batch_init(struct batch *batch, size_t room, struct err *err)
{
	batch->tags = calloc(room, sizeof(*batch->tags));
	batch->places = calloc(room, sizeof(*batch->places));
	batch->answers = calloc(room, sizeof(*batch->answers));
	if (!batch->tags || !batch->places || !batch->answers)
		return err_set_sys(err, ENOMEM, "%zu tags", room);
	return 0;
}

/*
 * Gather what still has no answer, or one that `wanted` takes for none. A source that asks for a
 * pause is asked for no more tags: from the other end the next time, so that one tag that it
 * always says so for does not stand before all others.
 */
static void batch_fill(const struct oci_client *client, struct batch *batch, char *const *tags,
                       size_t count, const struct oci_resolved *results,
                       bool (*wanted)(const struct err *err))
{
	batch->count = 0;
	for (size_t n = 0; n < count; n++) {
		size_t i = client->is_backwards ? count - 1 - n : n;

		if (!results[i].failed || !wanted(&results[i].err))
			continue;
		batch->tags[batch->count] = tags[i];
		batch->places[batch->count++] = i;
	}
}

/* That a tag is gone is an answer; all else another source may know better. */
static bool is_open(const struct err *err)
{
	return err->kind != ERR_NOT_FOUND && err->kind != ERR_CANCELLED;
}

static bool is_unasked(const struct err *err)
{
	return err->kind == ERR_NONE || retry_may_help(err);
}

/* Ask one line for the tags of a batch and keep what is better than what is known. */
static void resolve_at(const struct oci_client *client, struct line *line, struct batch *batch,
                       struct oci_resolved *results)
{
	const struct err *network = NULL;

	line->source.ops->resolve(line->source.self, batch->tags, batch->count, batch->answers);
	for (size_t i = 0; i < batch->count; i++) {
		struct oci_resolved *result = &results[batch->places[i]];
		struct oci_resolved *answer = &batch->answers[i];

		if (!answer->failed) {
			*result = *answer;
			continue;
		}
		if (answer->err.kind == ERR_NETWORK)
			network = &answer->err;
		/* Only who has listed the tag can tell that it is gone. */
		if (answer->err.kind == ERR_NOT_FOUND && line != &client->lines[client->lister])
			answer->err.kind = ERR_LOST;
		add_failure(client, &result->err, line, &answer->err);
		if (!is_open(&answer->err))
			result->err.kind = answer->err.kind;
	}
	mark(line, network);
}

static void resolve_once(struct oci_client *client, char *const *tags, size_t count,
                         struct batch *batch, struct oci_resolved *results)
{
	struct walk walk = walk_from(client, client->lister);
	const struct line *before = NULL;
	struct line *line;

	batch_fill(client, batch, tags, count, results, is_unasked);
	for (size_t i = 0; i < batch->count; i++)
		results[batch->places[i]].err = (struct err){ .kind = ERR_NONE };
	while (batch->count && (line = walk_next(client, &walk))) {
		if (before)
			tell(client, OCI_NOTICE_FAILED_OVER, before, batch->tags[0],
			     results[batch->places[0]].err.msg, 0);
		resolve_at(client, line, batch, results);
		batch_fill(client, batch, tags, count, results, is_open);
		before = line;
	}
}

void oci_resolve(struct oci_client *client, char *const *tags, size_t count,
                 struct oci_resolved *out_resolved)
{
	CLEANUP(batch_release) struct batch batch = { .tags = NULL };
	char subject[SUBJECT_SIZE];
	struct err err = { .kind = ERR_NONE };
	int failed = batch_init(&batch, count + 1, &err);

	for (size_t i = 0; i < count; i++)
		out_resolved[i] = (struct oci_resolved){ .failed = -1, .err = err };
	while (!failed) {
		resolve_once(client, tags, count, &batch, out_resolved);
		batch_fill(client, &batch, tags, count, out_resolved, retry_may_help);
		if (!batch.count)
			break;
		client->is_backwards = !client->is_backwards;
		err = out_resolved[batch.places[0]].err;
		failed = pause_before_retry(client, "digests of tags", &err);
	}
	for (size_t i = 0; i < count; i++) {
		if (!out_resolved[i].failed)
			continue;
		(void)snprintf(subject, sizeof(subject), "tag %.128s", tags[i]);
		(void)client_context(client, subject, &out_resolved[i].err);
	}
}

/* Whether the other sources agree on a tag: they are not believed, but an operator should know. */
static void compare_mirrors(struct oci_client *client, const char *tag, const struct digest *digest)
{
	char name[OCI_TAG_SIZE];
	char *names[] = { name };
	char text[DIGEST_TEXT_SIZE];

	(void)snprintf(name, sizeof(name), "%s", tag);
	for (size_t i = 0; i < client->count; i++) {
		struct line *line = &client->lines[i];
		struct oci_resolved answer;

		if (i == client->lister || line->down_until_ms > clock_now_ms())
			continue;
		line->source.ops->resolve(line->source.self, names, 1, &answer);
		/* One that is down is not waited for with each tag. */
		mark(line, answer.failed ? &answer.err : NULL);
		if (!answer.failed && !digest_equal(&answer.digest, digest))
			tell(client, OCI_NOTICE_MIRROR_DIFFERS, line, tag,
			     digest_format(&answer.digest, text), 0);
		else if (answer.failed && answer.err.kind == ERR_NOT_FOUND)
			tell(client, OCI_NOTICE_MIRROR_DIFFERS, line, tag, "it has no such tag", 0);
	}
}

/* ---- manifests ---- */

struct manifest_question {
	const struct digest *digest;
	struct manifest manifest;
	int64_t size;
};

/* Fetch a manifest by its digest and prove that it is the one. */
static int ask_manifest(struct line *line, void *ctx, struct err *err)
{
	struct manifest_question *question = ctx;
	const struct digest *digest = question->digest;
	CLEANUP(buf_release) struct buf body = BUF_INIT(LIMIT_MANIFEST_BYTES);
	CLEANUP(cleanup_free) char *type = NULL;
	char text[DIGEST_TEXT_SIZE];
	struct digest found;

	if (line->source.ops->manifest(line->source.self, digest, &body, &type, err))
		return -1;
	if (digest_of(digest->algorithm, buf_text(&body), body.size, &found, err))
		return -1;
	if (!digest_equal(&found, digest))
		return err_set(err, ERR_DIGEST, "the %zu bytes that came have the digest %s",
		               body.size, digest_format(&found, text));
	question->size = (int64_t)body.size;
	return manifest_read(buf_text(&body), body.size, type, manifest_platform(),
	                     &question->manifest, err);
}

static int fetch_manifest(struct oci_client *client, struct manifest_question *wanted,
                          struct err *err)
{
	struct question question = { ask_manifest, wanted, "", client->lister };
	char text[DIGEST_TEXT_SIZE];
	struct line *line;

	(void)snprintf(question.subject, sizeof(question.subject), "manifest %s",
	               digest_format(wanted->digest, text));
	return client_ask(client, &question, &line, err);
}

/* The manifest that an index leads to. An index in an index leads on no further. */
static int follow_index(struct oci_client *client, struct manifest *manifest, struct err *err)
{
	const struct oci_descriptor entry = manifest->chosen;
	struct manifest_question wanted = { .digest = &entry.digest };
	char text[DIGEST_TEXT_SIZE];
	int failed;

	if (entry.size > LIMIT_MANIFEST_BYTES)
		failed = err_set(err, ERR_LIMIT, "it is said to have %" PRId64 " bytes",
		                 entry.size);
	else
		failed = fetch_manifest(client, &wanted, err);
	if (!failed && wanted.size != entry.size)
		failed = err_set(err, ERR_DIGEST,
		                 "it has %" PRId64 " bytes instead of the %" PRId64
		                 " of its descriptor",
		                 wanted.size, entry.size);
	if (!failed && wanted.manifest.is_index)
		failed = err_set(err, ERR_FORMAT, "it is an index within an index");
	if (failed)
		return err_context(err, "its manifest %s", digest_format(&entry.digest, text));
	*manifest = wanted.manifest;
	return 0;
}

int oci_manifest(struct oci_client *client, const char *tag, const struct digest *digest,
                 struct oci_artifact *out_artifact, struct err *err)
{
	struct oci_artifact artifact = { .manifest = *digest };
	struct manifest_question wanted = { .digest = digest };
	char text[DIGEST_TEXT_SIZE];
	char subject[SUBJECT_SIZE + OCI_TAG_SIZE];

	(void)snprintf(subject, sizeof(subject), "manifest %s of tag %s",
	               digest_format(digest, text), tag);
	if (fetch_manifest(client, &wanted, err) ||
	    (wanted.manifest.is_index && follow_index(client, &wanted.manifest, err)))
		return client_context(client, subject, err);
	compare_mirrors(client, tag, digest);
	artifact.layer = wanted.manifest.chosen;
	memcpy(artifact.title, wanted.manifest.title, sizeof(artifact.title));
	memcpy(artifact.created, wanted.manifest.created, sizeof(artifact.created));
	*out_artifact = artifact;
	return 0;
}

/* ---- blobs ---- */

struct blob_question {
	struct oci_client *client;
	struct pull pull;
	int64_t furthest; /* what was there at the last break that counted as progress */
};

/* The bytes of one line, as far as they go. Wrong ones are taken back. */
static int ask_bytes(struct line *line, struct blob_question *question, struct err *err)
{
	struct pull *pull = &question->pull;
	struct err other;
	int failed = 0;

	if (!pull_is_full(pull))
		failed = line->source.ops->blob(line->source.self, pull, err);
	/* Broken off behind the last byte: there is nothing left to ask for. */
	if (failed && err->kind == ERR_NETWORK && pull_is_full(pull))
		failed = 0;
	if (!failed && !pull_end(pull, err))
		return ASK_DONE;
	if (pull->sink_failed)
		return ASK_FINAL;
	/* Bytes that are fetched anew are no progress, or it would go on for ever. */
	if (err->kind == ERR_NETWORK &&
	    pull->received - question->furthest >= LIMIT_PROGRESS_BYTES) {
		question->furthest = pull->received;
		question->client->pauses = 0;
	}
	if (err->kind != ERR_DIGEST && err->kind != ERR_FORMAT)
		return ASK_FAILED;
	if (pull_restart(pull, &other)) {
		*err = other;
		return ASK_FINAL;
	}
	return ASK_FAILED;
}

static int ask_blob(struct line *line, void *ctx, struct err *err)
{
	struct blob_question *question = ctx;
	bool resumed = question->pull.received > 0;
	int result = ask_bytes(line, question, err);

	/* The first part may be what was wrong, or the server can't send parts: once as a whole. */
	if (result == ASK_FAILED && resumed && !question->pull.received)
		result = ask_bytes(line, question, err);
	return result;
}

int oci_blob(struct oci_client *client, const struct oci_descriptor *blob,
             const struct oci_sink *sink, struct err *err)
{
	struct blob_question wanted = { .client = client };
	struct question question = { ask_blob, &wanted, "", client->lister };
	char text[DIGEST_TEXT_SIZE];
	struct line *line;
	int failed;

	(void)snprintf(question.subject, sizeof(question.subject), "blob %s",
	               digest_format(&blob->digest, text));
	failed = pull_init(&wanted.pull, blob, sink, client->cancel, err) ||
	         client_ask(client, &question, &line, err);
	pull_release(&wanted.pull);
	return failed ? client_context(client, question.subject, err) : 0;
}
