/*
 * Who signs a manifest (see oci_signature in oci.h): where signatures are looked for
 * and what becomes of those that are found. A source has said that a manifest is not
 * signed only when it has answered every question; what it could not be asked is worth
 * another try, however many wrong signatures were found meanwhile.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "oci/client.h"
#include "oci/limits.h"
#include "oci/pull.h"
#include "oci/signature.h"

/* One source, and what it has said so far. */
struct search {
	struct line *line;
	const struct digest *manifest;
	const struct oci_keys *keys;
	const struct cancel *cancel;
	int64_t until_ms;           /* then no more is asked */
	struct signature signature; /* the one that is looked at */
	struct digest payload;      /* its layer, for the next that is over the same */
	unsigned fetches;
	size_t key; /* that has made the last */
	bool is_proven;
	bool has_more;   /* than is looked at */
	struct err open; /* a question without an answer, or ERR_NONE */
	struct err why;  /* what is wrong with the best that was found, or ERR_NONE */
};

/* ---- what was found ---- */

/* Something that was to be a signature is none. A whole one of another key tells the most. */
static void put_aside(struct search *search, const struct err *err)
{
	struct err *why = &search->why;

	if (why->kind != ERR_NONE && err->cause != OCI_CAUSE_SIGNED_BY_OTHER)
		return;
	*why = *err;
	why->kind = ERR_UNSIGNED;
	if (err->cause != OCI_CAUSE_SIGNED_BY_OTHER)
		(void)err_cause(why, OCI_CAUSE_SIGNATURE_MALFORMED);
}

/*
 * A source has not given what was asked for. What is not there, too large, or not what
 * its digest says, is no signature; all else leaves the question open.
 */
static void note_failure(struct search *search, const struct err *err)
{
	if (err->kind == ERR_NOT_FOUND || err->kind == ERR_LIMIT || err->kind == ERR_DIGEST)
		put_aside(search, err);
	else if (search->open.kind == ERR_NONE)
		search->open = *err;
}

/* Whether to look at what comes next. */
static bool goes_on(const struct search *search)
{
	return !search->is_proven && !cancel_is_raised(search->cancel);
}

static int check_time(const struct search *search, struct err *err)
{
	if (clock_now_ms() < search->until_ms)
		return 0;
	(void)err_set(err, ERR_NETWORK, "not asked: too much time is over");
	return err_cause(err, OCI_CAUSE_STALLED);
}

/* Another request for this answer, unless there were too many or they took too long. */
static int count_fetch(struct search *search, struct err *err)
{
	if (check_time(search, err))
		return -1;
	if (search->fetches++ < LIMIT_SIGNATURE_FETCHES)
		return 0;
	search->has_more = true;
	return err_set(err, ERR_LIMIT, "there is more than the %d things that are looked at",
	               LIMIT_SIGNATURE_FETCHES);
}

/* ---- layers ---- */

static int take_bytes(void *ctx, const void *bytes, size_t size, struct err *err)
{
	return buf_add(ctx, bytes, size, err);
}

static int take_back(void *ctx, struct err *err)
{
	(void)err;
	buf_clear(ctx);
	return 0;
}

/* The bytes of a blob, verified. */
static int fetch_blob(struct line *line, const struct oci_descriptor *blob, struct buf *out,
                      struct err *err)
{
	const struct oci_sink sink = { .write = take_bytes, .restart = take_back, .ctx = out };
	CLEANUP(pull_release) struct pull pull = { .hasher = NULL };

	if (blob->size > LIMIT_SIGNATURE_BYTES)
		return err_set(err, ERR_LIMIT, "it has %" PRId64 " bytes, at most %d are possible",
		               blob->size, LIMIT_SIGNATURE_BYTES);
	if (pull_init(&pull, blob, &sink, NULL, err) ||
	    line->source.ops->blob(line->source.self, &pull, err))
		return -1;
	return pull_end(&pull, err);
}

/*
 * The bytes of a layer. Signatures of several keys are over the same most often: these
 * are fetched once.
 */
static int fetch_layer(struct search *search, const struct signature_layer *layer, struct buf *out,
                       struct err *err)
{
	const struct signature *last = &search->signature;

	if (layer->form == SIGNATURE_SIMPLE && last->form == SIGNATURE_SIMPLE &&
	    digest_equal(&search->payload, &layer->blob.digest))
		return buf_add(out, buf_text(&last->payload), last->payload.size, err);
	return count_fetch(search, err) ? -1 : fetch_blob(search->line, &layer->blob, out, err);
}

static int judge(struct search *search, const struct signature_layer *layer,
                 const struct buf *bytes, struct err *err)
{
	struct signature *signature = &search->signature;
	int failed = layer->form == SIGNATURE_SIMPLE
	                     ? signature_of_payload(buf_text(bytes), bytes->size, layer->value,
	                                            signature, err)
	                     : signature_of_bundle(buf_text(bytes), bytes->size, signature, err);

	search->payload = layer->blob.digest;
	if (failed)
		signature->form = SIGNATURE_NONE;
	return failed ? -1
	              : signature_check(signature, search->manifest, search->keys, &search->key,
	                                err);
}

static void look_at_layer(struct search *search, const struct signature_layer *layer)
{
	CLEANUP(buf_release) struct buf bytes = BUF_INIT(LIMIT_SIGNATURE_BYTES);
	char text[DIGEST_TEXT_SIZE];
	struct err err;

	(void)digest_format(&layer->blob.digest, text);
	if (fetch_layer(search, layer, &bytes, &err)) {
		(void)err_context(&err, "signature %s", text);
		note_failure(search, &err);
	} else if (judge(search, layer, &bytes, &err)) {
		(void)err_context(&err, "signature %s", text);
		put_aside(search, &err);
	} else {
		search->is_proven = true;
	}
}

/* ---- manifests ---- */

static void look_at_manifest(struct search *search, const struct buf *body, const char *name)
{
	CLEANUP(signature_list_release) struct signature_list list = { .document = NULL };
	struct err err;

	if (signature_layers(buf_text(body), body->size, &list, &err)) {
		(void)err_context(&err, "%s", name);
		put_aside(search, &err);
		return;
	}
	for (size_t i = 0; i < list.count && goes_on(search); i++)
		look_at_layer(search, &list.at[i]);
	search->has_more = search->has_more || list.left_out;
}

static void look_at_referrer(struct search *search, const struct oci_descriptor *descriptor)
{
	const struct source *source = &search->line->source;
	CLEANUP(buf_release) struct buf body = BUF_INIT(LIMIT_MANIFEST_BYTES);
	CLEANUP(cleanup_free) char *type = NULL;
	char name[DIGEST_TEXT_SIZE];
	struct digest found;
	struct err err;

	(void)digest_format(&descriptor->digest, name);
	if (!count_fetch(search, &err) &&
	    !source->ops->manifest(source->self, &descriptor->digest, &body, &type, &err) &&
	    !digest_of(descriptor->digest.algorithm, buf_text(&body), body.size, &found, &err)) {
		if (digest_equal(&found, &descriptor->digest)) {
			look_at_manifest(search, &body, name);
			return;
		}
		(void)err_set(&err, ERR_DIGEST, "its bytes have another digest");
	}
	(void)err_context(&err, "referrer %s", name);
	note_failure(search, &err);
}

static void look_at_index(struct search *search, const struct buf *body)
{
	CLEANUP(cleanup_free)
	struct signature_referrers *referrers = calloc(1, sizeof(*referrers));
	struct err err;

	if (!referrers) {
		(void)err_set(&err, ERR_IO, "out of memory");
		note_failure(search, &err);
		return;
	}
	if (signature_referrers(buf_text(body), body->size, referrers, &err)) {
		(void)err_context(&err, "index of referrers");
		put_aside(search, &err);
		return;
	}
	for (size_t i = 0; i < referrers->count && goes_on(search); i++)
		look_at_referrer(search, &referrers->at[i]);
	search->has_more = search->has_more || referrers->left_out;
}

/* ---- places ---- */

/* An answer that can't be used is no reason to ask nothing else. */
static int bear(struct search *search, const char *what, struct err *err)
{
	(void)err_context(err, "%s", what);
	if (err->kind != ERR_LIMIT && err->kind != ERR_DIGEST)
		return -1;
	put_aside(search, err);
	return 0;
}

/* Look at what a tag names. 0 also when it names nothing. */
static int look_at_tag(struct search *search, const char *ending,
                       void (*look)(struct search *search, const struct buf *body), struct err *err)
{
	const struct source *source = &search->line->source;
	CLEANUP(buf_release) struct buf body = BUF_INIT(LIMIT_MANIFEST_BYTES);
	char tag[SIGNATURE_TAG_SIZE];

	/* None that is too long to be one can be there. */
	if (!oci_tag_is_valid(signature_tag(search->manifest, ending, tag)))
		return 0;
	if (source->ops->named(source->self, tag, &body, err))
		return err->kind == ERR_NOT_FOUND ? 0 : bear(search, tag, err);
	look(search, &body);
	return 0;
}

static void look_at_signatures(struct search *search, const struct buf *body)
{
	look_at_manifest(search, body, "its signatures");
}

/*
 * All pages, or those that are looked at. ERR_NOT_FOUND: there is no such question here.
 * Once there was a page, the next is there by the registry's own word.
 */
static int look_at_pages(struct search *search, struct err *err)
{
	const struct source *source = &search->line->source;
	CLEANUP(cleanup_free) char *next = NULL;
	unsigned pages = 0;

	do {
		CLEANUP(buf_release) struct buf body = BUF_INIT(LIMIT_MANIFEST_BYTES);

		if (check_time(search, err))
			return -1;
		if (source->ops->referrers(source->self, search->manifest, &next, &body, err)) {
			if (err->kind != ERR_NOT_FOUND)
				return bear(search, "referrers", err);
			err->kind = pages ? ERR_LOST : ERR_NOT_FOUND;
			return pages ? err_context(err, "referrers, page %u", pages + 1) : -1;
		}
		look_at_index(search, &body);
	} while (next && goes_on(search) && ++pages < LIMIT_REFERRER_PAGES);
	search->has_more = search->has_more || next;
	return 0;
}

static int look_at_referrers(struct search *search, struct err *err)
{
	if (search->line->source.ops->referrers) {
		if (!look_at_pages(search, err))
			return 0;
		if (err->kind != ERR_NOT_FOUND)
			return -1;
	}
	return look_at_tag(search, "", look_at_index, err);
}

static int look_everywhere(struct search *search, struct err *err)
{
	return look_at_tag(search, ".sig", look_at_signatures, err) ||
	                       (goes_on(search) && look_at_referrers(search, err))
	               ? -1
	               : 0;
}

/* ---- the answer ---- */

struct signature_question {
	const struct digest *manifest;
	const struct oci_keys *keys;
	const struct oci_client *client;
	struct buf *out_proof;
	size_t key;
};

static int conclude(const struct search *search, struct err *err)
{
	struct err why = search->why;

	if (cancel_check(search->cancel, err))
		return -1;
	if (search->open.kind != ERR_NONE) {
		*err = search->open;
		return -1;
	}
	if (why.kind == ERR_NONE && search->has_more) {
		(void)err_set(&why, ERR_UNSIGNED, "nothing that was looked at signs it");
		(void)err_cause(&why, OCI_CAUSE_SIGNATURE_MALFORMED);
	} else if (why.kind == ERR_NONE) {
		(void)err_set(&why, ERR_UNSIGNED, "it is not signed");
		(void)err_cause(&why, OCI_CAUSE_NOT_SIGNED);
	}
	(void)err_set(err, ERR_UNSIGNED, "%.400s%s", why.msg,
	              search->has_more ? "; there is more than is looked at" : "");
	return err_cause(err, why.cause);
}

static int ask_signature(struct line *line, void *ctx, struct err *err)
{
	struct signature_question *question = ctx;
	struct search search = { .line = line,
		                 .manifest = question->manifest,
		                 .keys = question->keys,
		                 .cancel = question->client->cancel,
		                 .until_ms = clock_now_ms() + question->client->search_ms,
		                 .signature = SIGNATURE_INIT };
	int failed = look_everywhere(&search, err);

	if (!failed && search.is_proven) {
		question->key = search.key;
		failed = signature_write_proof(&search.signature, question->out_proof, err);
	} else if (!failed) {
		failed = conclude(&search, err);
	}
	signature_release(&search.signature);
	return failed;
}

int oci_signature(struct oci_client *client, const struct digest *manifest,
                  const struct oci_keys *keys, struct buf *out_proof, size_t *out_key,
                  struct err *err)
{
	struct signature_question wanted = { manifest, keys, client, out_proof, 0 };
	struct question question = { ask_signature, &wanted, "", client->lister };
	char text[DIGEST_TEXT_SIZE];
	struct line *line;

	(void)snprintf(question.subject, sizeof(question.subject), "signature of %s",
	               digest_format(manifest, text));
	if (client_ask(client, &question, &line, err))
		return client_context(client, question.subject, err);
	*out_key = wanted.key;
	return 0;
}
