/*
 * Tags to digests, side by side (see oci_resolve in oci.h): one HEAD a tag, and
 * GET where HEAD gives no Docker-Content-Digest, is hung up on, or fails with
 * anything but 401 and 404 of the registry itself. The tags go through in
 * rounds: in each, those that are open are asked for; a round in which the
 * registry wanted credentials ends early, and the next one begins after the
 * login. At most three rounds have a reason to follow another. When there is no
 * way to the registry any more, or it asks for a pause, the rest isn't asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/remote.h"
#include "oci/limits.h"
#include "oci/manifest.h"

/* One question under way. */
struct probe {
	struct exchange exchange;
	struct hasher *hasher;
	char *url;
	size_t tag;
};

enum state { STATE_HEAD, STATE_GET, STATE_DONE };

struct resolution {
	struct remote *remote;
	char *const *tags;
	size_t count;
	struct oci_resolved *results;
	unsigned char *states; /* one enum state for each tag */
	unsigned char *asked;  /* in this round */
	size_t cursor;         /* all tags before it are done or asked */
	const char *authorization;
	bool last_word; /* a rejection stands now */
	bool denied;    /* and there was one */
	bool rejected;
	bool stopped;      /* there is no use in more questions now: */
	struct err reason; /* what goes for the tags that are open */
	unsigned in_vain;  /* requests in a row that brought no word of the registry */
	struct auth_rejection rejection;
	struct probe probes[LIMIT_PARALLEL];
};

static int hash_bytes(void *ctx, const void *bytes, size_t size, struct err *err)
{
	return hasher_add(ctx, bytes, size, err);
}

static void probe_release(struct probe *probe)
{
	exchange_release(&probe->exchange);
	hasher_free(probe->hasher);
	free(probe->url);
	*probe = (struct probe){ .hasher = NULL };
}

static void settle(struct resolution *r, size_t tag, const struct digest *digest,
                   const struct err *err)
{
	struct oci_resolved *result = &r->results[tag];

	r->states[tag] = STATE_DONE;
	if (digest) {
		result->failed = 0;
		result->digest = *digest;
		return;
	}
	result->failed = -1;
	/* cppcheck-suppress nullPointer ; without a digest there is an error */
	result->err = *err;
}

static int probe_open(struct probe *probe, const struct resolution *r, size_t tag, struct err *err)
{
	bool get = r->states[tag] == STATE_GET;

	if (!oci_tag_is_valid(r->tags[tag]))
		return err_set(err, ERR_FORMAT, "it is no tag");
	probe->tag = tag;
	probe->url = remote_url(r->remote, "manifests", r->tags[tag], err);
	if (!probe->url)
		return -1;
	probe->exchange = (struct exchange){
		.method = get ? EXCHANGE_GET : EXCHANGE_HEAD,
		.url = probe->url,
		.accept = MANIFEST_ACCEPT,
		.authorization = r->authorization,
		.follow = true,
		.size = EXCHANGE_ANY_SIZE,
		.max_bytes = LIMIT_MANIFEST_BYTES,
	};
	if (!get)
		return 0;
	probe->hasher = hasher_new(DIGEST_SHA256, err);
	if (!probe->hasher)
		return -1;
	probe->exchange.sink = (struct oci_sink){ .write = hash_bytes, .ctx = probe->hasher };
	return 0;
}

static struct probe *free_probe(struct resolution *r)
{
	for (size_t i = 0; i < LIMIT_PARALLEL; i++) {
		if (!r->probes[i].url)
			return &r->probes[i];
	}
	return NULL;
}

static struct exchange *next(void *ctx)
{
	struct resolution *r = ctx;
	struct probe *probe = free_probe(r);
	struct err err;

	/* Further ones would be rejected like that one was. */
	if (!probe || r->rejected || r->stopped)
		return NULL;
	for (; r->cursor < r->count; r->cursor++) {
		size_t tag = r->cursor;

		if (r->states[tag] == STATE_DONE || r->asked[tag])
			continue;
		if (!probe_open(probe, r, tag, &err)) {
			r->asked[tag] = 1;
			return &probe->exchange;
		}
		probe_release(probe);
		settle(r, tag, NULL, &err);
	}
	return NULL;
}

/* GET gives the bytes: what they hash to is the digest, whatever the header says. */
static void take_get(struct resolution *r, struct probe *probe)
{
	struct digest digest;
	struct err err;

	if (hasher_end(probe->hasher, &digest, &err) ||
	    remote_check_digest_header(&probe->exchange, &digest, &err))
		settle(r, probe->tag, NULL, &err);
	else
		settle(r, probe->tag, &digest, NULL);
}

/* HEAD gives a name for the bytes, which is verified when they are fetched by it. */
static bool take_head(struct resolution *r, const struct probe *probe)
{
	const char *header = exchange_header(&probe->exchange, "Docker-Content-Digest", 0);
	struct digest digest;
	struct err unused;

	if (probe->exchange.status != 200 || !header || digest_parse(header, &digest, &unused))
		return false;
	settle(r, probe->tag, &digest, NULL);
	return true;
}

static void ask_by_get(struct resolution *r, size_t tag)
{
	r->states[tag] = STATE_GET;
	r->asked[tag] = 0;
	if (r->cursor > tag)
		r->cursor = tag;
}

/* Whether the registry was not even reached, or is silent: that is no matter of one tag. */
static bool is_no_way(const struct err *err)
{
	switch (err->cause) {
	case OCI_CAUSE_HOST_UNKNOWN:
	case OCI_CAUSE_REFUSED:
	case OCI_CAUSE_UNREACHABLE:
	case OCI_CAUSE_CONNECT_TIMEOUT:
	case OCI_CAUSE_STALLED:
	case OCI_CAUSE_PROXY_UNREACHABLE:
		return true;
	default:
		return false;
	}
}

static void take_failure(struct resolution *r, const struct probe *probe)
{
	const struct exchange *exchange = &probe->exchange;

	if (exchange->method == EXCHANGE_HEAD && exchange->err.cause == OCI_CAUSE_BROKEN_OFF) {
		ask_by_get(r, probe->tag);
		return;
	}
	settle(r, probe->tag, NULL, &exchange->err);
	r->in_vain = is_no_way(&exchange->err) && !exchange->foreign ? r->in_vain + 1 : 0;
	if (r->in_vain < LIMIT_PARALLEL || r->stopped)
		return;
	r->stopped = true;
	r->reason = exchange->err;
	(void)err_context(&r->reason, "not asked, after %u requests in vain", r->in_vain);
}

static void take_pause(struct resolution *r, const struct probe *probe)
{
	struct err err;

	(void)remote_refuse(r->remote, &probe->exchange, &err);
	settle(r, probe->tag, NULL, &err);
	r->stopped = true;
	(void)err_set(&r->reason, ERR_NETWORK, "not asked: the registry asked for a pause");
	(void)err_cause(&r->reason, OCI_CAUSE_RATE_LIMITED);
}

static void take_answer(struct resolution *r, struct probe *probe)
{
	const struct exchange *exchange = &probe->exchange;
	bool head = exchange->method == EXCHANGE_HEAD;
	struct auth_rejection rejection;
	struct err err;

	if (exchange->failed) {
		take_failure(r, probe);
		return;
	}
	r->in_vain = 0;
	if (auth_rejects(r->remote->auth, exchange, &rejection)) {
		if (!r->denied)
			r->rejection = rejection;
		r->denied = r->denied || (r->last_word && rejection.denied);
		r->rejected = !r->last_word;
		if (r->rejected)
			return;
	}
	if (remote_heed(r->remote, exchange)) {
		take_pause(r, probe);
		return;
	}
	if (head && take_head(r, probe))
		return;
	/* A storage that a redirect led to may know its URL for GET alone. */
	if (head && (exchange->foreign || (exchange->status != 404 && exchange->status != 401))) {
		ask_by_get(r, probe->tag);
		return;
	}
	if (!head && exchange->status == 200) {
		take_get(r, probe);
		return;
	}
	(void)remote_refuse(r->remote, exchange, &err);
	settle(r, probe->tag, NULL, &err);
}

static void done(void *ctx, struct exchange *exchange)
{
	struct resolution *r = ctx;

	for (size_t i = 0; i < LIMIT_PARALLEL; i++) {
		if (&r->probes[i].exchange == exchange) {
			take_answer(r, &r->probes[i]);
			probe_release(&r->probes[i]);
		}
	}
}

static void settle_rest(struct resolution *r, const struct err *err)
{
	for (size_t tag = 0; tag < r->count; tag++) {
		if (r->states[tag] != STATE_DONE)
			settle(r, tag, NULL, err);
	}
}

/* Run the open tags through. 0: none was rejected, or that stands. -1: err goes for the rest. */
static int run_round(struct resolution *r, struct auth_round *round, struct err *err)
{
	const struct transport_work work = { next, done, r };
	enum auth_verdict verdict;

	r->rejected = false;
	r->cursor = 0;
	memset(r->asked, 0, r->count);
	if (auth_header(r->remote->auth, &r->authorization, err))
		return -1;
	transport_run(r->remote->transport, &work);
	if (!r->rejected && !r->denied)
		return 0;
	verdict = auth_react(r->remote->auth, round, &r->rejection, err);
	/* Who has just logged in is told the truth, for one tag as for all. */
	if (verdict == AUTH_KEEP || round->logged_in)
		r->last_word = true;
	return verdict == AUTH_FAILED && r->rejected ? -1 : 0;
}

static void run(struct resolution *r)
{
	struct auth_round round = { .logged_in = false };
	struct err err;

	do {
		if (remote_may_ask(r->remote, &err) || run_round(r, &round, &err)) {
			settle_rest(r, &err);
			return;
		}
	} while (r->rejected && !r->stopped);
	if (r->stopped)
		settle_rest(r, &r->reason);
}

void remote_resolve(void *self, char *const *tags, size_t count, struct oci_resolved *out_resolved)
{
	struct remote *remote = self;
	CLEANUP(cleanup_free) unsigned char *marks = calloc(2, count ? count : 1);
	CLEANUP(cleanup_free) struct resolution *r = calloc(1, sizeof(*r));
	struct err err;

	if (!marks || !r) {
		(void)err_set(&err, ERR_IO, "out of memory");
		for (size_t i = 0; i < count; i++)
			out_resolved[i] = (struct oci_resolved){ .failed = -1, .err = err };
		return;
	}
	r->remote = remote;
	r->tags = tags;
	r->count = count;
	r->results = out_resolved;
	r->states = marks;
	r->asked = marks + count;
	if (count)
		run(r);
}
