/* Which keys are taken, and what they verify. */
#include "signing_fixture.h"

#include "oci/keys.h"

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

		assert_int_equal(add_key(keys, pkey, &err), 0);
		assert_int_equal(add_key(keys, pkey, &err), 0); /* once is enough */
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

		if (!add_key(keys, pkey, &err) || err.kind != ERR_CONFIG)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_keys),
		cmocka_unit_test(refuses_keys),
		cmocka_unit_test(takes_no_more_keys_than_it_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
