/* Which signatures count, and what of manifests may be one. */
#include "signing_fixture.h"

#include "oci/signature.h"

#define HEX       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER_HEX "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TYPE      "cosign container image signature"
#define PAYLOAD(digest, type)                                                                      \
	"{\"critical\":{\"identity\":{\"docker-reference\":\"a/b\"},\"image\":{"                   \
	"\"docker-manifest-digest\":\"" digest "\"},\"type\":\"" type "\"},\"optional\":null}"
#define GOOD_PAYLOAD PAYLOAD("sha256:" HEX, TYPE)
#define STATEMENT(hex, predicate)                                                                  \
	"{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"digest\":{\"sha512\":"     \
	"\"00\"}},{\"digest\":{\"sha256\":\"" hex "\"}}],\"predicateType\":\"" predicate           \
	"\",\"predicate\":{}}"
#define PREDICATE      "https://sigstore.dev/cosign/sign/v1"
#define GOOD_STATEMENT STATEMENT(HEX, PREDICATE)

static struct digest manifest;

static void sign_statement(EVP_PKEY *pkey, const char *statement, struct buf *out)
{
	CLEANUP(buf_release) struct buf message = BUF_INIT(65536);
	struct err err;

	assert_int_equal(buf_addf(&message, &err, "DSSEv1 28 application/vnd.in-toto+json %zu %s",
	                          strlen(statement), statement),
	                 0);
	sign(pkey, "SHA256", message.data, message.size, out);
}

static void put_bundle(struct buf *bundle, const char *statement, const char *value)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(65536);
	struct err err;

	buf_clear(bundle);
	assert_int_equal(base64_encode(statement, strlen(statement), &text, &err), 0);
	assert_int_equal(
		buf_addf(bundle, &err,
	                 "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\","
	                 "\"verificationMaterial\":{},\"dsseEnvelope\":{\"payloadType\":"
	                 "\"application/vnd.in-toto+json\",\"payload\":\"%s\","
	                 "\"signatures\":[{\"sig\":\"%s\"}]}}",
	                 buf_text(&text), value),
		0);
}

struct keys {
	EVP_PKEY *ours, *theirs;
	struct oci_keys *trusted; /* ours alone */
};

static int setup(void **state)
{
	struct keys *k = calloc(1, sizeof(*k));
	struct err err;

	k->ours = make_key("P-256");
	k->theirs = make_key("P-256");
	k->trusted = oci_keys_new(&err);
	assert_int_equal(add_key(k->trusted, k->ours, &err), 0);
	assert_int_equal(digest_parse("sha256:" HEX, &manifest, &err), 0);
	*state = k;
	return 0;
}

static int teardown(void **state)
{
	struct keys *k = *state;

	oci_keys_free(k->trusted);
	EVP_PKEY_free(k->ours);
	EVP_PKEY_free(k->theirs);
	free(k);
	return 0;
}

/* ---- what is signed ---- */

static void judges_payloads(void **state)
{
	static const struct {
		const char *payload;
		int cause; /* 0: it counts */
	} rows[] = {
		{ GOOD_PAYLOAD, 0 },
		{ "{\"critical\":{\"type\":\"" TYPE "\",\"image\":{\"docker-manifest-digest\":"
		  "\"sha256:" HEX "\",\"more\":1}}}",
		  0 },
		{ PAYLOAD("sha256:" OTHER_HEX, TYPE), OCI_CAUSE_SIGNATURE_MALFORMED },
		{ PAYLOAD(HEX, TYPE), OCI_CAUSE_SIGNATURE_MALFORMED },
		{ PAYLOAD("sha256:" HEX, "atomic container signature"),
		  OCI_CAUSE_SIGNATURE_MALFORMED },
		{ PAYLOAD("sha256:" HEX, TYPE) "x", OCI_CAUSE_SIGNATURE_MALFORMED },
		{ "{\"critical\":{\"type\":\"" TYPE "\"}}", OCI_CAUSE_SIGNATURE_MALFORMED },
		{ "{\"critical\":{\"image\":{\"docker-manifest-digest\":\"sha256:" HEX "\"}}}",
		  OCI_CAUSE_SIGNATURE_MALFORMED },
		/* One parser would take the one, another the other. */
		{ "{\"critical\":{\"type\":\"" TYPE "\",\"image\":{\"docker-manifest-digest\":"
		  "\"sha256:" HEX "\",\"docker-manifest-digest\":\"sha256:" OTHER_HEX "\"}}}",
		  OCI_CAUSE_SIGNATURE_MALFORMED },
		{ "{\"critical\":{\"type\":\"" TYPE "\",\"image\":\"sha256:" HEX "\"}}",
		  OCI_CAUSE_SIGNATURE_MALFORMED },
		{ "[]", OCI_CAUSE_SIGNATURE_MALFORMED },
		{ "", OCI_CAUSE_SIGNATURE_MALFORMED },
		{ GOOD_STATEMENT, OCI_CAUSE_SIGNATURE_MALFORMED },
	};
	struct keys *k = *state;

	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(signature_release) struct signature signature = SIGNATURE_INIT;
		CLEANUP(buf_release) struct buf value = BUF_INIT(4096);
		const char *payload = rows[i].payload;
		struct err err = { .msg = "" };
		size_t key;
		int failed;

		sign(k->ours, "SHA256", payload, strlen(payload), &value);
		assert_int_equal(signature_of_payload(payload, strlen(payload), value.data,
		                                      &signature, &err),
		                 0);
		failed = signature_check(&signature, &manifest, k->trusted, &key, &err);
		if ((failed != 0) != (rows[i].cause != 0) ||
		    (failed && (err.kind != ERR_UNSIGNED || err.cause != rows[i].cause)))
			fail_msg("row %zu: %d %s", i, failed, err.msg);
	}
}

/* libcrypto here has no Ed25519ph; who has signed so must not look for the fault in the key. */
static void says_what_it_may_be_of_an_ed25519_key(void **state)
{
	static const struct {
		const char *kind;
		size_t size;
		bool is_said;
	} rows[] = {
		{ "ED25519", 64, true },
		{ "ED25519", 63, false },
		{ "P-256", 64, false },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(signature_release) struct signature signature = SIGNATURE_INIT;
		struct err err;
		struct oci_keys *keys = oci_keys_new(&err);
		EVP_PKEY *pkey = make_key(rows[i].kind);
		size_t key;

		assert_int_equal(add_key(keys, pkey, &err), 0);
		assert_int_equal(signature_of_payload(GOOD_PAYLOAD, strlen(GOOD_PAYLOAD), "",
		                                      &signature, &err),
		                 0);
		for (size_t b = 0; b < rows[i].size; b++)
			assert_int_equal(buf_add(&signature.value, "x", 1, &err), 0);
		assert_int_equal(signature_check(&signature, &manifest, keys, &key, &err), -1);
		assert_int_equal(err.cause, OCI_CAUSE_SIGNED_BY_OTHER);
		assert_int_equal(strstr(err.msg, "Ed25519ph") != NULL, rows[i].is_said);
		oci_keys_free(keys);
		EVP_PKEY_free(pkey);
	}
}

static void judges_bundles(void **state)
{
	static const struct {
		const char *statement;
		int cause;
	} rows[] = {
		{ GOOD_STATEMENT, 0 },
		{ STATEMENT(OTHER_HEX, PREDICATE), OCI_CAUSE_SIGNATURE_MALFORMED },
		{ STATEMENT(HEX, "https://slsa.dev/provenance/v1"), OCI_CAUSE_SIGNATURE_MALFORMED },
		{ "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicateType\":\"" PREDICATE
		  "\"}",
		  OCI_CAUSE_SIGNATURE_MALFORMED },
		{ "{\"subject\":[{\"digest\":{\"sha256\":\"" HEX "\"}}],\"predicateType\":"
		  "\"" PREDICATE "\"}",
		  OCI_CAUSE_SIGNATURE_MALFORMED },
		{ GOOD_PAYLOAD, OCI_CAUSE_SIGNATURE_MALFORMED },
		{ "", OCI_CAUSE_SIGNATURE_MALFORMED },
	};
	struct keys *k = *state;

	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(signature_release) struct signature signature = SIGNATURE_INIT;
		CLEANUP(buf_release) struct buf value = BUF_INIT(4096), bundle = BUF_INIT(65536);
		struct err err = { .msg = "" };
		size_t key;
		int failed;

		sign_statement(k->ours, rows[i].statement, &value);
		put_bundle(&bundle, rows[i].statement, value.data);
		if (signature_of_bundle(bundle.data, bundle.size, &signature, &err))
			fail_msg("row %zu: %s", i, err.msg);
		failed = signature_check(&signature, &manifest, k->trusted, &key, &err);
		if ((failed != 0) != (rows[i].cause != 0) ||
		    (failed && (err.kind != ERR_UNSIGNED || err.cause != rows[i].cause)))
			fail_msg("row %zu: %d %s", i, failed, err.msg);
	}
}

/* A signature over a statement is none over its bytes, nor the other way round. */
static void keeps_forms_apart(void **state)
{
	struct keys *k = *state;
	CLEANUP(signature_release) struct signature signature = SIGNATURE_INIT;
	CLEANUP(buf_release) struct buf value = BUF_INIT(4096), bundle = BUF_INIT(65536);
	struct err err = { .msg = "" };
	size_t key;

	sign(k->ours, "SHA256", GOOD_STATEMENT, strlen(GOOD_STATEMENT), &value);
	put_bundle(&bundle, GOOD_STATEMENT, value.data);
	assert_int_equal(signature_of_bundle(bundle.data, bundle.size, &signature, &err), 0);
	assert_int_equal(signature_check(&signature, &manifest, k->trusted, &key, &err), -1);
	assert_int_equal(err.cause, OCI_CAUSE_SIGNED_BY_OTHER);
}

static void refuses_bundles(void **state)
{
	static const char *const rows[] = {
		"",
		"[]",
		"{}",
		"{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\"}",
		"{\"mediaType\":\"text/plain\",\"dsseEnvelope\":{}}",
#define BEGIN "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"dsseEnvelope\":{"
#define ITEMS "\"payloadType\":\"application/vnd.in-toto+json\",\"payload\":\"e30=\""
		BEGIN "}}",
		BEGIN ITEMS "}}",
		BEGIN ITEMS ",\"signatures\":[]}}",
		BEGIN ITEMS ",\"signatures\":[{\"sig\":1}]}}",
		BEGIN ITEMS ",\"signatures\":[{\"sig\":\"AAAA\"},{\"sig\":\"AAAA\"}]}}",
		BEGIN ITEMS ",\"signatures\":[{\"sig\":\"AAA\"}]}}",
		BEGIN ITEMS ",\"signatures\":[{\"sig\":\"AAAA\"}]},\"messageSignature\":{}}",
		BEGIN "\"payloadType\":\"text/plain\",\"payload\":\"e30=\",\"signatures\":["
		      "{\"sig\":\"AAAA\"}]}}",
		BEGIN "\"payloadType\":\"application/vnd.in-toto+json\",\"payload\":\"?\","
		      "\"signatures\":[{\"sig\":\"AAAA\"}]}}",
		BEGIN ITEMS "},\"dsseEnvelope\":{}}",
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(signature_release) struct signature signature = SIGNATURE_INIT;
		struct err err = { .msg = "" };

		if (!signature_of_bundle(rows[i], strlen(rows[i]), &signature, &err) ||
		    err.kind != ERR_FORMAT)
			fail_msg("row %zu is taken: %s", i, err.msg);
		assert_int_equal(strstr(rows[i], "messageSignature") != NULL,
		                 strstr(err.msg, "as cosign sign-blob makes it") != NULL);
	}
}

/* ---- who has signed it ---- */

static void tells_signers_apart(void **state)
{
	struct keys *k = *state;
	CLEANUP(signature_release) struct signature signature = SIGNATURE_INIT;
	CLEANUP(buf_release) struct buf value = BUF_INIT(4096);
	struct err err = { .msg = "" };
	size_t key = 7;

	sign(k->theirs, "SHA256", GOOD_PAYLOAD, strlen(GOOD_PAYLOAD), &value);
	assert_int_equal(signature_of_payload(GOOD_PAYLOAD, strlen(GOOD_PAYLOAD), value.data,
	                                      &signature, &err),
	                 0);
	assert_int_equal(signature_check(&signature, &manifest, k->trusted, &key, &err), -1);
	assert_int_equal(err.kind, ERR_UNSIGNED);
	assert_int_equal(err.cause, OCI_CAUSE_SIGNED_BY_OTHER);
	assert_int_equal(add_key(k->trusted, k->theirs, &err), 0);
	assert_int_equal(signature_check(&signature, &manifest, k->trusted, &key, &err), 0);
	assert_int_equal(key, 1);
}

static void keeps_proofs(void **state)
{
	struct keys *k = *state;
	CLEANUP(signature_release) struct signature signature = SIGNATURE_INIT;
	CLEANUP(buf_release)
	struct buf value = BUF_INIT(4096), bundle = BUF_INIT(65536),
		   proof = BUF_INIT(OCI_PROOF_BYTES);
	struct err err = { .msg = "" };
	size_t key;

	for (int form = 0; form < 2; form++) {
		buf_clear(&proof);
		if (form) {
			sign_statement(k->ours, GOOD_STATEMENT, &value);
			put_bundle(&bundle, GOOD_STATEMENT, value.data);
			assert_int_equal(
				signature_of_bundle(bundle.data, bundle.size, &signature, &err), 0);
		} else {
			sign(k->ours, "SHA256", GOOD_PAYLOAD, strlen(GOOD_PAYLOAD), &value);
			assert_int_equal(signature_of_payload(GOOD_PAYLOAD, strlen(GOOD_PAYLOAD),
			                                      value.data, &signature, &err),
			                 0);
		}
		assert_int_equal(signature_write_proof(&signature, &proof, &err), 0);
		assert_int_equal(
			oci_proof_check(proof.data, proof.size, &manifest, k->trusted, &key, &err),
			0);
		/* Whatever byte is lost. */
		for (size_t i = 0; i < proof.size - 1; i++) {
			char was = proof.data[i];

			/* The first bit is another: the last ones need not count in base64. */
			proof.data[i] = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef", was) ? '/' : 'A';
			if (!oci_proof_check(proof.data, proof.size, &manifest, k->trusted, &key,
			                     &err))
				fail_msg("byte %zu is another, and it counts", i);
			assert_int_equal(err.kind, ERR_UNSIGNED);
			proof.data[i] = was;
			assert_int_equal(
				oci_proof_check(proof.data, i, &manifest, k->trusted, &key, &err),
				-1);
		}
	}
}

/* The most that a signature may be can be kept. */
static void keeps_large_proofs(void **state)
{
	CLEANUP(signature_release) struct signature signature = SIGNATURE_INIT;
	CLEANUP(buf_release) struct buf proof = BUF_INIT(OCI_PROOF_BYTES);
	CLEANUP(cleanup_free) char *bytes = calloc(1, LIMIT_SIGNATURE_BYTES);
	struct err err = { .msg = "" };

	(void)state;
	signature.form = SIGNATURE_BUNDLE;
	assert_int_equal(buf_add(&signature.payload, bytes, LIMIT_SIGNATURE_BYTES, &err), 0);
	assert_int_equal(buf_add(&signature.value, bytes, LIMIT_SIGNATURE_BYTES, &err), 0);
	assert_int_equal(signature_write_proof(&signature, &proof, &err), 0);
}

/* ---- manifests and indexes ---- */

#define LAYER(type, value)                                                                         \
	"{\"mediaType\":\"" type "\",\"digest\":\"sha256:" HEX "\",\"size\":9,\"annotations\":{"   \
	"\"dev.cosignproject.cosign/signature\":\"" value "\"}}"
#define SIMPLE LAYER("application/vnd.dev.cosign.simplesigning.v1+json", "AAAA")
#define BUNDLE                                                                                     \
	"{\"mediaType\":\"application/"                                                            \
	"vnd.dev.sigstore.bundle.v0.3+json\",\"digest\":\"sha256:" HEX "\",\"size\":9}"

static void finds_layers(void **state)
{
	static const struct {
		const char *body;
		int count; /* -1: it is no manifest */
	} rows[] = {
		{ "{\"layers\":[" SIMPLE "," SIMPLE "," BUNDLE "]}", 3 },
		{ "{\"layers\":[]}", 0 },
		{ "{\"layers\":[{},1,null,[]," LAYER("text/plain", "AAAA") "]}", 0 },
		{ "{\"layers\":[" LAYER("application/vnd.dev.cosign.simplesigning.v1+json",
		                        "") "]}",
		  0 },
		{ "{\"layers\":[{\"mediaType\":\"application/"
		  "vnd.dev.sigstore.bundle.v0.3+json\"}]}",
		  -1 },
		{ "{\"layers\":{}}", -1 },
		{ "{\"layers\":[],\"layers\":[]}", -1 },
		{ "{}", -1 },
		{ "[]", -1 },
		{ "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(signature_list_release) struct signature_list list;
		struct err err = { .msg = "" };
		int failed = signature_layers(rows[i].body, strlen(rows[i].body), &list, &err);

		if (failed ? rows[i].count >= 0 : (int)list.count != rows[i].count)
			fail_msg("row %zu: %d, %zu layers: %s", i, failed, list.count, err.msg);
	}
}

static void looks_at_some_of_many_layers(void **state)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
	CLEANUP(signature_list_release) struct signature_list list;
	struct err err = { .msg = "" };

	(void)state;
	assert_int_equal(buf_addf(&text, &err, "{\"layers\":[" SIMPLE), 0);
	for (int i = 0; i < 999; i++)
		assert_int_equal(buf_addf(&text, &err, "," SIMPLE), 0);
	assert_int_equal(buf_addf(&text, &err, "]}"), 0);
	assert_int_equal(signature_layers(text.data, text.size, &list, &err), 0);
	assert_int_equal(list.count, LIMIT_SIGNATURES);
	assert_int_equal(list.left_out, 1000 - LIMIT_SIGNATURES);
}

static void finds_referrers(void **state)
{
#define ENTRY(more) "{\"digest\":\"sha256:" HEX "\",\"size\":9" more "}"
#define TYPED(type) ENTRY(",\"artifactType\":\"" type "\"")
	static const struct {
		const char *body;
		int count;
	} rows[] = {
		{ "{\"manifests\":[]}", 0 },
		{ "{\"manifests\":[" TYPED(
			  "application/vnd.dev.sigstore.bundle.v0.3+json") "," TYPED("application/"
		                                                                     "vnd.dev."
		                                                                     "cosign."
		                                                                     "artifact.sig."
		                                                                     "v1+json") "]"
		                                                                                "}",
		  2 },
		{ "{\"manifests\":[" TYPED("application/spdx+json") "," ENTRY("") "]}", 1 },
		{ "{\"manifests\":[" TYPED("application/vnd.oci.empty.v1+json") "]}", 1 },
		{ "{\"manifests\":[" ENTRY(
			  ",\"artifactType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\","
			  "\"annotations\":{\"dev.sigstore.bundle.predicateType\":"
			  "\"https://cyclonedx.org/bom\"}") "]}",
		  0 },
		{ "{\"manifests\":[{\"artifactType\":\"application/vnd.dev.sigstore.bundle\"}]}",
		  -1 },
		{ "{}", -1 },
		{ "x", -1 },
	};
	struct signature_referrers referrers;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct err err = { .msg = "" };
		int failed = signature_referrers(rows[i].body, strlen(rows[i].body), &referrers,
		                                 &err);

		if (failed ? rows[i].count >= 0 : (int)referrers.count != rows[i].count)
			fail_msg("row %zu: %d, %zu referrers: %s", i, failed, referrers.count,
			         err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(judges_payloads, setup, teardown),
		cmocka_unit_test_setup_teardown(says_what_it_may_be_of_an_ed25519_key, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(judges_bundles, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_forms_apart, setup, teardown),
		cmocka_unit_test(refuses_bundles),
		cmocka_unit_test_setup_teardown(tells_signers_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_proofs, setup, teardown),
		cmocka_unit_test(keeps_large_proofs),
		cmocka_unit_test(finds_layers),
		cmocka_unit_test(looks_at_some_of_many_layers),
		cmocka_unit_test(finds_referrers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
