/* Which source is asked for what, and whose word counts: with sources that say what they are told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "oci/artifact.h"
#include "oci/client.h"
#include "oci/signature.h"

enum { MINUTE_MS = 60 * 1000 };

/* A source. Where it has no text for a question, or is to fail, it fails with `kind`. */
struct fake {
	enum err_kind kind;
	bool has_tag;
	struct digest digest;
	const char *manifest;   /* of any digest */
	const char *signatures; /* under the tag ….sig */
	const char *referrers;  /* each page of them */
	unsigned pages;         /* so many; 0: without end */
	bool is_one_page;
	const char *stops_at; /* for this tag and what follows it wants a pause */
	unsigned resolved, named, asked_pages;
	bool names_no_tag;
	char last[OCI_TAG_SIZE]; /* that was asked for by name */
	struct cancel *raises;   /* when a tag is asked for */
};

static int fail_as(const struct fake *fake, struct err *err)
{
	return err_set(err, fake->kind, "failed as it was told to");
}

static void fake_resolve(void *self, char *const *tags, size_t count, struct oci_resolved *out)
{
	struct fake *fake = self;
	bool is_stopped = false;

	fake->resolved++;
	for (size_t i = 0; i < count; i++) {
		is_stopped = is_stopped || (fake->stops_at && !strcmp(tags[i], fake->stops_at));
		if (is_stopped) {
			out[i].failed = err_set(&out[i].err, ERR_NETWORK, "asks for a pause");
			continue;
		}
		out[i] = (struct oci_resolved){ .failed = fake->has_tag ? 0 : -1,
			                        .digest = fake->digest };
		if (!fake->has_tag)
			(void)fail_as(fake, &out[i].err);
	}
}

static int give(const struct fake *fake, const char *text, struct buf *body, struct err *err)
{
	return text ? buf_add(body, text, strlen(text), err) : fail_as(fake, err);
}

static int fake_manifest(void *self, const struct digest *digest, struct buf *body, char **out_type,
                         struct err *err)
{
	const struct fake *fake = self;

	(void)digest;
	*out_type = NULL;
	return give(fake, fake->manifest, body, err);
}

static int fake_named(void *self, const char *tag, struct buf *body, struct err *err)
{
	struct fake *fake = self;

	fake->named++;
	fake->names_no_tag = fake->names_no_tag || !oci_tag_is_valid(tag);
	(void)snprintf(fake->last, sizeof(fake->last), "%s", tag);
	if (fake->raises)
		cancel_raise(fake->raises);
	return give(fake, strstr(tag, ".sig") ? fake->signatures : NULL, body, err);
}

static int fake_referrers(void *self, const struct digest *manifest, char **inout_next,
                          struct buf *body, struct err *err)
{
	struct fake *fake = self;

	(void)manifest;
	free(*inout_next);
	*inout_next = NULL;
	if (fake->pages && fake->asked_pages == fake->pages)
		return fail_as(fake, err);
	fake->asked_pages++;
	if (!fake->is_one_page)
		assert_non_null(*inout_next = strdup("next"));
	return give(fake, fake->referrers, body, err);
}

static int fake_blob(void *self, struct pull *pull, struct err *err)
{
	(void)pull;
	return fail_as(self, err);
}

static const struct source_ops ops = {
	.resolve = fake_resolve, .manifest = fake_manifest, .named = fake_named, .blob = fake_blob
};
static const struct source_ops ops_with_referrers = { .resolve = fake_resolve,
	                                              .manifest = fake_manifest,
	                                              .named = fake_named,
	                                              .referrers = fake_referrers,
	                                              .blob = fake_blob };

/* A client of a repository that has given the list, and of a mirror. */
struct fixture {
	struct fake first, mirror;
	struct line lines[2];
	struct cancel *cancel;
	struct oci_client client;
};

static void begin(struct fixture *f, const struct fake *first, const struct fake *mirror)
{
	struct err err;

	*f = (struct fixture){ .first = *first };
	if (mirror)
		f->mirror = *mirror;
	f->lines[0] = (struct line){ .source = { first->referrers ? &ops_with_referrers : &ops,
		                                 &f->first },
		                     .name = "first" };
	f->lines[1] = (struct line){ .source = { &ops, &f->mirror }, .name = "mirror" };
	f->cancel = cancel_new(&err);
	assert_non_null(f->cancel);
	f->client = (struct oci_client){ .cancel = f->cancel,
		                         .lines = f->lines,
		                         .count = mirror ? 2 : 1,
		                         .search_ms = MINUTE_MS };
}

static void end(struct fixture *f)
{
	cancel_free(f->cancel);
}

/* ---- tags ---- */

static enum err_kind resolve(struct fixture *f)
{
	char tag[] = "1.0.0", *tags[] = { tag };
	struct oci_resolved resolved;

	oci_resolve(&f->client, tags, 1, &resolved);
	return resolved.failed ? resolved.err.kind : ERR_NONE;
}

static void who_has_listed_a_tag_can_tell_that_it_is_gone(void **state)
{
	static const struct {
		struct fake first, mirror;
		bool is_first_late;
		enum err_kind kind;
		unsigned mirror_asked;
	} table[] = {
		{ { .kind = ERR_NOT_FOUND }, { .has_tag = true }, false, ERR_NOT_FOUND, 0 },
		{ { .kind = ERR_NETWORK }, { .kind = ERR_NOT_FOUND }, false, ERR_NETWORK, 1 },
		{ { .kind = ERR_LOST }, { .kind = ERR_NOT_FOUND }, false, ERR_LOST, 1 },
		{ { .kind = ERR_NETWORK }, { .has_tag = true }, false, ERR_NONE, 1 },
		{ { .has_tag = true }, { .kind = ERR_NOT_FOUND }, true, ERR_NONE, 1 },
		{ { .kind = ERR_NOT_FOUND }, { .kind = ERR_NOT_FOUND }, true, ERR_NOT_FOUND, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fixture f;
		enum err_kind kind;

		begin(&f, &table[i].first, &table[i].mirror);
		if (table[i].is_first_late)
			f.lines[0].down_until_ms = clock_now_ms() + MINUTE_MS;
		kind = resolve(&f);
		if (kind != table[i].kind || f.mirror.resolved != table[i].mirror_asked)
			fail_msg("row %zu: %s, the mirror was asked %u times", i,
			         err_kind_name(kind), f.mirror.resolved);
		end(&f);
	}
}

static void a_mirror_that_is_down_is_not_compared_with_each_time(void **state)
{
	const struct oci_descriptor layer = { .digest = { .algorithm = DIGEST_SHA256 }, .size = 1 };
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
	struct oci_artifact artifact;
	struct fake first = { .has_tag = true };
	struct fixture f;
	struct err err;

	(void)state;
	assert_int_equal(artifact_manifest(&text, &layer, 0, &err), 0);
	first.manifest = buf_text(&text);
	assert_int_equal(digest_of(DIGEST_SHA256, text.data, text.size, &first.digest, &err), 0);
	begin(&f, &first, &(struct fake){ .kind = ERR_NETWORK });
	for (int i = 0; i < 5; i++)
		assert_int_equal(oci_manifest(&f.client, "1.0.0", &first.digest, &artifact, &err),
		                 0);
	assert_int_equal(f.mirror.resolved, 1);
	end(&f);
}

/* Within a round after the pause, and in the next where the pause was too long. */
static void a_tag_that_stops_the_questions_does_not_hide_the_others(void **state)
{
	char a[] = "1.0.0", b[] = "2.0.0", c[] = "3.0.0";
	char *tags[] = { a, b, c };
	struct oci_resolved resolved[3];

	(void)state;
	for (unsigned retries = 0; retries < 2; retries++) {
		bool answered[3] = { false };
		struct fixture f;

		begin(&f, &(struct fake){ .has_tag = true, .stops_at = "2.0.0" }, NULL);
		f.client.retries = retries;
		for (unsigned round = retries; round < 2; round++) {
			f.client.pauses = 0;
			oci_resolve(&f.client, tags, 3, resolved);
			for (size_t i = 0; i < 3; i++)
				answered[i] = answered[i] || !resolved[i].failed;
		}
		assert_true(answered[0] && !answered[1] && answered[2]);
		end(&f);
	}
}

/* ---- signatures ---- */

#define HEX "0000000000000000000000000000000000000000000000000000000000000000"

static const char one_signature[] =
	"{\"layers\":[{\"mediaType\":\"application/vnd.dev.cosign.simplesigning.v1+json\","
	"\"digest\":\"sha256:" HEX "\",\"size\":1,"
	"\"annotations\":{\"dev.cosignproject.cosign/signature\":\"AAAA\"}}]}";
static const char no_referrers[] = "{\"manifests\":[]}";

static int ask(struct fixture *f, struct err *err)
{
	const struct digest manifest = { .algorithm = DIGEST_SHA256 };
	CLEANUP(buf_release) struct buf proof = BUF_INIT(OCI_PROOF_BYTES);
	struct oci_keys *keys = oci_keys_new(err);
	size_t key;
	int failed;

	assert_non_null(keys);
	failed = oci_signature(&f->client, &manifest, keys, &proof, &key, err);
	oci_keys_free(keys);
	return failed;
}

static void not_signed_is_what_all_have_said(void **state)
{
	static const struct {
		enum err_kind first, mirror, outcome;
	} table[] = {
		{ ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_UNSIGNED },
		{ ERR_NOT_FOUND, ERR_NETWORK, ERR_NETWORK },
		{ ERR_NOT_FOUND, ERR_AUTH, ERR_AUTH },
		{ ERR_AUTH, ERR_NOT_FOUND, ERR_AUTH },
		{ ERR_NETWORK, ERR_NOT_FOUND, ERR_NETWORK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fixture f;
		struct err err;

		begin(&f, &(struct fake){ .kind = table[i].first },
		      &(struct fake){ .kind = table[i].mirror });
		assert_int_equal(ask(&f, &err), -1);
		if (err.kind != table[i].outcome)
			fail_msg("row %zu: %s", i, err.msg);
		end(&f);
	}
}

static void too_much_time_is_no_answer(void **state)
{
	const struct fake slow[] = {
		{ .kind = ERR_NOT_FOUND, .signatures = one_signature },
		{ .kind = ERR_NOT_FOUND, .referrers = no_referrers },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
		struct fixture f;
		struct err err;

		begin(&f, &slow[i], NULL);
		assert_int_equal(ask(&f, &err), -1);
		assert_int_equal(err.kind, ERR_UNSIGNED);
		f.client.search_ms = 0;
		assert_int_equal(ask(&f, &err), -1);
		assert_int_equal(err.kind, ERR_NETWORK);
		assert_int_equal(err.cause, OCI_CAUSE_STALLED);
		end(&f);
	}
}

static void a_stop_ends_the_search(void **state)
{
	struct fixture f;
	struct err err;

	(void)state;
	begin(&f, &(struct fake){ .kind = ERR_NOT_FOUND }, NULL);
	f.first.raises = f.cancel;
	assert_int_equal(ask(&f, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
	assert_int_equal(f.first.named, 1);
	end(&f);
}

/* Else who fills a registry with the signatures of others would hide the right one unnoticed. */
static void what_is_not_looked_at_is_said(void **state)
{
	CLEANUP(buf_release) struct buf index = BUF_INIT(1 << 20);
	struct fixture f;
	struct err err;

	(void)state;
	begin(&f, &(struct fake){ .kind = ERR_NOT_FOUND, .referrers = no_referrers }, NULL);
	assert_int_equal(ask(&f, &err), -1);
	assert_int_equal(err.kind, ERR_UNSIGNED);
	assert_int_equal(f.first.asked_pages, LIMIT_REFERRER_PAGES);
	assert_non_null(strstr(err.msg, "there is more than is looked at"));
	assert_null(strstr(err.msg, "not signed"));
	end(&f);

	assert_int_equal(buf_addf(&index, &err, "{\"manifests\":["), 0);
	for (int i = 0; i < LIMIT_REFERRERS + 1; i++)
		assert_int_equal(
			buf_addf(&index, &err,
		                 "%s{\"artifactType\":\"application/vnd.dev.sigstore.bundle\","
		                 "\"digest\":\"sha256:" HEX "\",\"size\":1}",
		                 i ? "," : ""),
			0);
	assert_int_equal(buf_addf(&index, &err, "]}"), 0);
	begin(&f,
	      &(struct fake){
		      .kind = ERR_NOT_FOUND, .referrers = buf_text(&index), .is_one_page = true },
	      NULL);
	assert_int_equal(ask(&f, &err), -1);
	assert_int_equal(err.kind, ERR_UNSIGNED);
	assert_non_null(strstr(err.msg, "there is more than is looked at"));
	end(&f);
}

static void a_page_that_is_lost_is_no_answer(void **state)
{
	struct fixture f;
	struct err err;

	(void)state;
	begin(&f, &(struct fake){ .kind = ERR_NOT_FOUND, .referrers = no_referrers, .pages = 1 },
	      NULL);
	assert_int_equal(ask(&f, &err), -1);
	assert_int_equal(err.kind, ERR_LOST);
	assert_non_null(strstr(err.msg, "page 2"));
	end(&f);
}

/* Cosign's tag would be too long; that of the referrers is cut. */
static void a_manifest_of_sha512_has_referrers_alone(void **state)
{
	const struct digest manifest = { .algorithm = DIGEST_SHA512 };
	CLEANUP(buf_release) struct buf proof = BUF_INIT(OCI_PROOF_BYTES);
	struct oci_keys *keys;
	struct fixture f;
	struct err err;
	size_t key;

	(void)state;
	begin(&f, &(struct fake){ .kind = ERR_NOT_FOUND }, NULL);
	keys = oci_keys_new(&err);
	assert_non_null(keys);
	assert_int_equal(oci_signature(&f.client, &manifest, keys, &proof, &key, &err), -1);
	assert_int_equal(err.kind, ERR_UNSIGNED);
	assert_int_equal(f.first.named, 1);
	assert_false(f.first.names_no_tag);
	assert_string_equal(f.first.last, "sha512-" HEX);
	oci_keys_free(keys);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_listed_a_tag_can_tell_that_it_is_gone),
		cmocka_unit_test(a_mirror_that_is_down_is_not_compared_with_each_time),
		cmocka_unit_test(a_tag_that_stops_the_questions_does_not_hide_the_others),
		cmocka_unit_test(not_signed_is_what_all_have_said),
		cmocka_unit_test(too_much_time_is_no_answer),
		cmocka_unit_test(a_stop_ends_the_search),
		cmocka_unit_test(what_is_not_looked_at_is_said),
		cmocka_unit_test(a_page_that_is_lost_is_no_answer),
		cmocka_unit_test(a_manifest_of_sha512_has_referrers_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
