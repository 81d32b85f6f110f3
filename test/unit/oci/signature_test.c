/* Which keys are taken, and which signatures count. The signatures are made here, by libcrypto. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/cleanup.h"
#include "oci/base64.h"
#include "oci/keys.h"
#include "oci/signature.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define HEX        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER_HEX  "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TYPE       "cosign container image signature"
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

/* ---- keys of the tests' own ---- */

static EVP_PKEY *make_key(const char *kind)
{
	if (!strcmp(kind, "RSA"))
		return EVP_RSA_gen(2048);
	if (!strcmp(kind, "small"))
		return EVP_RSA_gen(1024);
	if (!strcmp(kind, "ED25519"))
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	return EVP_EC_gen(kind);
}

static char *pem_of(EVP_PKEY *pkey)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long size;

	assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
	size = BIO_get_mem_data(bio, &data);
	text = strndup(data, (size_t)size);
	BIO_free(bio);
	return text;
}

static int add(struct oci_keys *keys, EVP_PKEY *pkey, struct err *err)
{
	CLEANUP(cleanup_free) char *pem = pem_of(pkey);

	return oci_keys_add(keys, pem, strlen(pem), "FILE", err);
}

/* Over what counts for the form, in base64. */
static void sign(EVP_PKEY *pkey, const char *hash, const char *message, size_t size,
                 struct buf *out)
{
	unsigned char value[1024];
	size_t length = sizeof(value);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	struct err err;

	assert_int_equal(EVP_DigestSignInit_ex(context, NULL, hash, NULL, NULL, pkey, NULL), 1);
	assert_int_equal(
		EVP_DigestSign(context, value, &length, (const unsigned char *)message, size), 1);
	EVP_MD_CTX_free(context);
	buf_clear(out);
	assert_int_equal(base64_encode(value, length, out, &err), 0);
}

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
	assert_int_equal(add(k->trusted, k->ours, &err), 0);
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

/* ---- keys ---- */

static void takes_keys(void **state)
{
	static const struct {
		const char *kind, *name;
		const char *hashes[3]; /* that count, until NULL */
		const char *wrong;     /* one that does not, or NULL */
	} rows[] = {
		{ "P-256", "ECDSA P-256", { "SHA256", NULL }, "SHA384" },
		{ "P-384", "ECDSA P-384", { "SHA256", "SHA384", NULL }, "SHA512" },
		{ "P-521", "ECDSA P-521", { "SHA256", "SHA512", NULL }, "SHA384" },
		{ "RSA", "RSA 2048", { "SHA256", NULL }, "SHA512" },
		{ "ED25519", "Ed25519", { "", NULL }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		EVP_PKEY *pkey = make_key(rows[i].kind);
		struct err err = { .msg = "" };
		struct oci_keys *keys = oci_keys_new(&err);
		CLEANUP(buf_release) struct buf value = BUF_INIT(4096), bytes = BUF_INIT(4096);
		struct oci_key_info info;
		size_t key = 7;

		assert_int_equal(add(keys, pkey, &err), 0);
		assert_int_equal(add(keys, pkey, &err), 0); /* once is enough */
		assert_int_equal(oci_keys_count(keys), 1);
		oci_keys_describe(keys, 0, &info);
		assert_string_equal(info.kind, rows[i].name);
		assert_int_equal(strncmp(info.fingerprint, "sha256:", 7), 0);
		for (const char *const *hash = rows[i].hashes; *hash; hash++) {
			sign(pkey, **hash ? *hash : NULL, "message", 7, &value);
			buf_clear(&bytes);
			assert_int_equal(base64_decode(value.data, &bytes, &err), 0);
			if (!keys_verify(keys, "message", 7, bytes.data, bytes.size, &key))
				fail_msg("%s with %s", rows[i].kind, *hash);
			assert_int_equal(key, 0);
			assert_false(keys_verify(keys, "massage", 7, bytes.data, bytes.size, &key));
			assert_false(
				keys_verify(keys, "message", 7, bytes.data, bytes.size - 1, &key));
			assert_false(keys_verify(keys, "message", 7, "", 0, &key));
		}
		if (rows[i].wrong) {
			sign(pkey, rows[i].wrong, "message", 7, &value);
			buf_clear(&bytes);
			assert_int_equal(base64_decode(value.data, &bytes, &err), 0);
			assert_false(keys_verify(keys, "message", 7, bytes.data, bytes.size, &key));
		}
		oci_keys_free(keys);
		EVP_PKEY_free(pkey);
	}
}

static void refuses_keys(void **state)
{
	static const char *const kinds[] = { "small", "secp256k1", "P-224" };
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "no PEM" },
		{ "ssh-ed25519 AAAA", "no PEM" },
		{ "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "can't be read" },
		{ "-----BEGIN PUBLIC KEY-----\nAAAA\n", "broken" },
		{ "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "CERTIFICATE" },
		{ "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key" },
	};
	struct err err = { .msg = "" };
	struct oci_keys *keys = oci_keys_new(&err);

	(void)state;
	for (size_t i = 0; i < LEN(kinds); i++) {
		EVP_PKEY *pkey = make_key(kinds[i]);

		if (!add(keys, pkey, &err) || err.kind != ERR_CONFIG)
			fail_msg("%s is taken", kinds[i]);
		EVP_PKEY_free(pkey);
	}
	for (size_t i = 0; i < LEN(rows); i++)
		if (!oci_keys_add(keys, rows[i].text, strlen(rows[i].text), "FILE", &err) ||
		    err.kind != ERR_CONFIG || !strstr(err.msg, rows[i].why) ||
		    strncmp(err.msg, "FILE: ", 6) != 0)
			fail_msg("%s: %s", rows[i].text, err.msg);
	assert_int_equal(oci_keys_count(keys), 0);
	oci_keys_free(keys);
}

static void takes_no_more_keys_than_it_may(void **state)
{
	struct err err = { .msg = "" };
	struct oci_keys *keys = oci_keys_new(&err);
	CLEANUP(buf_release) struct buf text = BUF_INIT(65536);

	(void)state;
	for (int i = 0; i <= OCI_KEYS_MAX; i++) {
		EVP_PKEY *pkey = make_key("ED25519");
		CLEANUP(cleanup_free) char *pem = pem_of(pkey);

		assert_int_equal(buf_addf(&text, &err, "a comment\n%s", pem), 0);
		EVP_PKEY_free(pkey);
	}
	assert_int_equal(oci_keys_add(keys, text.data, text.size, "FILE", &err), -1);
	assert_non_null(strstr(err.msg, "more than 64 keys"));
	assert_int_equal(oci_keys_count(keys), OCI_KEYS_MAX);
	oci_keys_free(keys);
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
	assert_int_equal(add(k->trusted, k->theirs, &err), 0);
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

/* ---- base64 ---- */

static void decodes_base64(void **state)
{
	static const struct {
		const char *text, *bytes; /* NULL: not base64 */
	} rows[] = {
		{ "", "" },           { "Zg==", "f" },        { "Zm8=", "fo" },
		{ "Zm9v", "foo" },    { "Zm9vYg==", "foob" }, { " Zm\n9v\r\n\t", "foo" },
		{ "Zg=", NULL },      { "Zg", NULL },         { "Z", NULL },
		{ "Zg==Zg==", NULL }, { "=Zg=", NULL },       { "Z===", NULL },
		{ "====", NULL },     { "Zm9-", NULL },       { "Zm9\x80", NULL },
		{ "Zg=g", NULL },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(buf_release) struct buf out = BUF_INIT(100), text = BUF_INIT(100);
		struct err err;
		int failed = base64_decode(rows[i].text, &out, &err);

		if ((failed != 0) != !rows[i].bytes ||
		    (!failed && strcmp(buf_text(&out), rows[i].bytes) != 0))
			fail_msg("\"%s\": %d \"%s\"", rows[i].text, failed, buf_text(&out));
		if (failed || strpbrk(rows[i].text, " \n"))
			continue;
		assert_int_equal(base64_encode(buf_text(&out), out.size, &text, &err), 0);
		assert_string_equal(buf_text(&text), rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_keys),
		cmocka_unit_test(refuses_keys),
		cmocka_unit_test(takes_no_more_keys_than_it_may),
		cmocka_unit_test_setup_teardown(judges_payloads, setup, teardown),
		cmocka_unit_test_setup_teardown(judges_bundles, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_forms_apart, setup, teardown),
		cmocka_unit_test(refuses_bundles),
		cmocka_unit_test_setup_teardown(tells_signers_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_proofs, setup, teardown),
		cmocka_unit_test(keeps_large_proofs),
		cmocka_unit_test(finds_layers),
		cmocka_unit_test(looks_at_some_of_many_layers),
		cmocka_unit_test(finds_referrers),
		cmocka_unit_test(decodes_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
