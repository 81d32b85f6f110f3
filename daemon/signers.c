/* Whose signature counts; see signers.h. */
#include "signers.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advice.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "log.h"
#include "recurring.h"
#include "status.h"

enum {
	PROOFS_BYTES = 8 << 20, /* that wait for their release */
	DOUBTS_MAX = 10000,
	DOUBTS_A_ROUND = 32, /* manifests found unsigned that a round asks about again */
	DOUBT_ROUNDS = 10,   /* for which one is remembered that nobody names any more */
};

/* A manifest that a round has found signed. */
struct proof {
	struct digest manifest;
	char *text;
	size_t size;
	struct digest signer;
};

/* One that was found to be unsigned. */
struct doubt {
	struct digest manifest;
	int cause;
	char *msg;
	uint64_t met; /* the last round that was about it */
};

struct signers {
	const struct config_texts *files;
	uint64_t seen;
	struct digest sum; /* of the keys of the start */
	struct recurring *troubles;
	struct status *status; /* or NULL */
	struct oci_keys *keys; /* NULL: everything is fit */
	struct proof *proofs;
	size_t proof_count;
	size_t proof_bytes;
	struct store *store;  /* of the rounds; what it keeps need not be asked for */
	struct buf proof;     /* the last that was asked for */
	struct digest signer; /* the key of that */
	struct doubt *doubts;
	size_t doubt_count;
	uint64_t round;

	pthread_mutex_t mutex; /* guards what is below */
	struct oci_keys *offered;
};

DEFINE_CLEANUP(cleanup_keys, struct oci_keys, oci_keys_free);
DEFINE_CLEANUP(cleanup_signers, struct signers, signers_free);

/* ---- keys ---- */

uint64_t signers_fingerprint(const struct config_texts *files)
{
	uint64_t hash = IO_FINGERPRINT_START;
	struct stat st;

	for (size_t i = 0; i < files->count; i++) {
		if (stat(files->at[i], &st))
			memset(&st, 0, sizeof(st));
		hash = io_fingerprint(hash, &st);
	}
	return hash;
}

static int add_file(struct oci_keys *keys, const char *file, struct err *err)
{
	CLEANUP(buf_release) struct buf pem = BUF_INIT(OCI_KEY_FILE_BYTES);
	char what[400];

	(void)snprintf(what, sizeof(what), "--verify-key %.300s", file);
	if (io_read_file(AT_FDCWD, file, &pem, err)) {
		err->kind = ERR_CONFIG;
		(void)err_cause(err, ADVICE_FILE_UNREADABLE);
		return err_context(err, "--verify-key");
	}
	if (oci_keys_add(keys, buf_text(&pem), pem.size, what, err))
		return err_cause(err, ADVICE_VERIFY_KEY);
	return 0;
}

struct oci_keys *signers_read_keys(const struct config_texts *files, struct err *err)
{
	CLEANUP(cleanup_keys) struct oci_keys *keys = oci_keys_new(err);

	if (!keys)
		return NULL;
	for (size_t i = 0; i < files->count; i++)
		if (add_file(keys, files->at[i], err))
			return NULL;
	return STEAL(keys);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

int signers_sum(const struct oci_keys *keys, struct digest *out_sum, struct err *err)
{
	char texts[OCI_KEYS_MAX][DIGEST_TEXT_SIZE] = { { 0 } };
	size_t count = oci_keys_count(keys);
	struct oci_key_info info;

	for (size_t i = 0; i < count; i++) {
		oci_keys_describe(keys, i, &info);
		(void)snprintf(texts[i], sizeof(texts[i]), "%s", info.fingerprint);
	}
	qsort(texts, count, sizeof(texts[0]), compare_texts);
	return digest_of(DIGEST_SHA256, texts, count * sizeof(texts[0]), out_sum, err);
}

uint64_t signers_seen(const struct signers *signers)
{
	return signers->seen;
}

const struct digest *signers_seen_sum(const struct signers *signers)
{
	return &signers->sum;
}

void signers_offer_take(struct signers *signers, struct oci_keys *keys)
{
	struct oci_keys *old;

	(void)pthread_mutex_lock(&signers->mutex);
	old = signers->offered;
	signers->offered = keys;
	(void)pthread_mutex_unlock(&signers->mutex);
	oci_keys_free(old);
}

static struct oci_keys *take_offered(struct signers *signers)
{
	struct oci_keys *keys;

	(void)pthread_mutex_lock(&signers->mutex);
	keys = STEAL(signers->offered);
	(void)pthread_mutex_unlock(&signers->mutex);
	return keys;
}

/* ---- life ---- */

struct signers *signers_new(const struct config *config, struct status *status, struct err *err)
{
	CLEANUP(cleanup_signers) struct signers *signers = calloc(1, sizeof(*signers));

	if (!signers) {
		(void)err_set_sys(err, ENOMEM, "signers");
		return NULL;
	}
	(void)pthread_mutex_init(&signers->mutex, NULL);
	signers->files = &config->verify_key;
	signers->status = status;
	signers->proof = (struct buf)BUF_INIT(OCI_PROOF_BYTES);
	signers->troubles = recurring_new(err);
	if (!signers->troubles)
		return NULL;
	/* Before they are read: a change meanwhile is seen later. */
	signers->seen = signers_fingerprint(signers->files);
	if (signers->files->count && (!(signers->keys = signers_read_keys(signers->files, err)) ||
	                              signers_sum(signers->keys, &signers->sum, err)))
		return NULL;
	return STEAL(signers);
}

static void forget_proofs(struct signers *signers)
{
	for (size_t i = 0; i < signers->proof_count; i++)
		free(signers->proofs[i].text);
	signers->proof_count = 0;
	signers->proof_bytes = 0;
}

static void forget_doubt(struct signers *signers, size_t number)
{
	free(signers->doubts[number].msg);
	signers->doubts[number] = signers->doubts[--signers->doubt_count];
}

static void forget_doubts(struct signers *signers)
{
	while (signers->doubt_count)
		forget_doubt(signers, signers->doubt_count - 1);
}

void signers_free(struct signers *signers)
{
	if (!signers)
		return;
	forget_proofs(signers);
	free(signers->proofs);
	forget_doubts(signers);
	free(signers->doubts);
	buf_release(&signers->proof);
	recurring_free(signers->troubles);
	oci_keys_free(signers->keys);
	oci_keys_free(signers->offered);
	(void)pthread_mutex_destroy(&signers->mutex);
	free(signers);
}

/* ---- what is in the store ---- */

static void tell_withheld(struct signers *signers, const char *tag, const struct err *err)
{
	static const char msg[] = "Release not served";
	const struct advice *advice = advice_find(advice_cause_of(err));

	if (signers->status)
		status_happened(signers->status, tag, true, msg, err);
	if (!recurring_happened(signers->troubles, tag, err->msg, clock_now_ms()))
		return;
	log_line(LOG_ERROR, msg,
	         (struct log_field[]){ { "error", err->msg },
	                               { "kind", err_kind_name(err->kind) },
	                               { "tag", tag },
	                               { advice ? "cause" : NULL, advice ? advice->name : NULL },
	                               { advice ? "advice" : NULL, advice ? advice->text : NULL },
	                               { NULL, NULL } });
}

static bool admits(void *ctx, const struct store_release *release, const char *proof, size_t size)
{
	struct signers *signers = ctx;
	struct err err;
	size_t key;

	if (size && !oci_proof_check(proof, size, &release->manifest, signers->keys, &key, &err)) {
		(void)recurring_over(signers->troubles, release->tag);
		return true;
	}
	if (!size) {
		(void)err_set(&err, ERR_UNSIGNED, "no signature was kept with it");
		(void)err_cause(&err, OCI_CAUSE_NOT_SIGNED);
	} else {
		(void)err_context(&err, "the signature that was kept with it");
	}
	tell_withheld(signers, release->tag, &err);
	return false;
}

store_admission *signers_admission(const struct signers *signers)
{
	return signers->keys ? admits : NULL;
}

/* ---- rounds ---- */

void signers_begin(struct signers *signers, struct store *store)
{
	struct oci_keys *fresh = take_offered(signers);
	char count[24];
	struct err err;

	signers->store = store;
	forget_proofs(signers);
	signers->round++;
	for (size_t i = signers->doubt_count; i-- > 0;)
		if (signers->doubts[i].met + DOUBT_ROUNDS < signers->round)
			forget_doubt(signers, i);
	if (!fresh)
		return;
	oci_keys_free(signers->keys);
	signers->keys = fresh;
	forget_doubts(signers);
	(void)snprintf(count, sizeof(count), "%zu", oci_keys_count(fresh));
	log_line(LOG_INFO, "Trusted keys reloaded",
	         (struct log_field[]){ { "keys", count }, { NULL, NULL } });
	if (store_reconsider(store, &err))
		log_line(LOG_ERROR, "What is served could not be made anew",
		         (struct log_field[]){ { "error", err.msg }, { NULL, NULL } });
}

static const struct proof *find_proof(const struct signers *signers, const struct digest *manifest)
{
	for (size_t i = 0; i < signers->proof_count; i++)
		if (digest_equal(&signers->proofs[i].manifest, manifest))
			return &signers->proofs[i];
	return NULL;
}

/* By the fingerprint, which outlasts the order of the keys. */
static void note_signer(struct signers *signers, size_t key)
{
	struct oci_key_info info;
	struct err unneeded;

	oci_keys_describe(signers->keys, key, &info);
	(void)!digest_parse(info.fingerprint, &signers->signer, &unneeded);
}

/* Without memory, or room, it is asked for once more. */
static void keep_proof(struct signers *signers, const struct digest *manifest)
{
	struct proof *more;
	size_t size = signers->proof.size;

	if (signers->proof_bytes + size > PROOFS_BYTES)
		return;
	more = realloc(signers->proofs, (signers->proof_count + 1) * sizeof(*more));
	if (!more)
		return;
	signers->proofs = more;
	more += signers->proof_count;
	*more = (struct proof){ *manifest, strdup(buf_text(&signers->proof)), size,
		                signers->signer };
	if (!more->text)
		return;
	signers->proof_count++;
	signers->proof_bytes += size;
}

static size_t find_doubt(const struct signers *signers, const struct digest *manifest)
{
	size_t i = 0;

	while (i < signers->doubt_count && !digest_equal(&signers->doubts[i].manifest, manifest))
		i++;
	return i;
}

/* In its place when it is known, so that turns stay as they are. */
static void note_doubt(struct signers *signers, const struct digest *manifest,
                       const struct err *err)
{
	size_t number = find_doubt(signers, manifest);
	struct doubt doubt = { *manifest, err->cause, strdup(err->msg), signers->round };
	struct doubt *more;

	/* Without memory or room it is only asked about more often. */
	if (doubt.msg && number < signers->doubt_count) {
		free(signers->doubts[number].msg);
		signers->doubts[number] = doubt;
		return;
	}
	more = doubt.msg && signers->doubt_count < DOUBTS_MAX
	               ? realloc(signers->doubts, (signers->doubt_count + 1) * sizeof(*more))
	               : NULL;
	if (!more) {
		free(doubt.msg);
		return;
	}
	signers->doubts = more;
	more[signers->doubt_count++] = doubt;
}

/* Whether it is not a manifest's turn in this round: what it was found to be stands. */
static bool waits(struct signers *signers, const struct digest *manifest, struct err *err)
{
	size_t number = find_doubt(signers, manifest);
	size_t turns = (signers->doubt_count + DOUBTS_A_ROUND - 1) / DOUBTS_A_ROUND;
	struct doubt *doubt = &signers->doubts[number];

	if (number == signers->doubt_count)
		return false;
	doubt->met = signers->round;
	if ((number + signers->round) % turns == 0)
		return false;
	(void)err_set(err, ERR_UNSIGNED, "%s", doubt->msg);
	(void)err_cause(err, doubt->cause);
	return true;
}

/* A release that is damaged is fetched again though its signature is gone meanwhile. */
static bool is_kept(struct signers *signers, const struct digest *manifest)
{
	struct err err;
	size_t key;

	buf_clear(&signers->proof);
	if (store_proof(signers->store, manifest, &signers->proof, &err) ||
	    oci_proof_check(buf_text(&signers->proof), signers->proof.size, manifest, signers->keys,
	                    &key, &err))
		return false;
	note_signer(signers, key);
	return true;
}

static int ask(struct signers *signers, struct oci_client *client, const struct digest *manifest,
               struct err *err)
{
	size_t key, number;

	buf_clear(&signers->proof);
	if (oci_signature(client, manifest, signers->keys, &signers->proof, &key, err)) {
		if (err->kind == ERR_UNSIGNED)
			note_doubt(signers, manifest, err);
		else if (!err->cause)
			(void)err_cause(err, OCI_CAUSE_SIGNATURE_NOT_ASKED);
		return -1;
	}
	note_signer(signers, key);
	number = find_doubt(signers, manifest);
	if (number < signers->doubt_count)
		forget_doubt(signers, number);
	keep_proof(signers, manifest);
	return 0;
}

int signers_prove(struct signers *signers, struct oci_client *client, const struct digest *manifest,
                  struct err *err)
{
	if (!signers->keys || find_proof(signers, manifest) || is_kept(signers, manifest))
		return 0;
	return waits(signers, manifest, err) ? -1 : ask(signers, client, manifest, err);
}

int signers_proof(struct signers *signers, struct oci_client *client, struct store_source *source,
                  struct err *err)
{
	const struct proof *proof = find_proof(signers, source->manifest);

	if (!signers->keys)
		return 0;
	if (proof) {
		source->proof = proof->text;
		source->proof_size = proof->size;
		source->signer = &proof->signer;
		return 0;
	}
	if (!is_kept(signers, source->manifest) && ask(signers, client, source->manifest, err))
		return -1;
	source->proof = buf_text(&signers->proof);
	source->proof_size = signers->proof.size;
	source->signer = &signers->signer;
	return 0;
}

const char *signers_verdict(const struct err *err)
{
	return err->kind == ERR_UNSIGNED ? "Release refused" : "Signature could not be asked for";
}
