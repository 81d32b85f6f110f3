/* Whom credentials are told, how a token is asked for, and what counts as one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/token.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void judges_realms(void **state)
{
	static const struct {
		const char *registry, *realm;
		bool allowed;
	} rows[] = {
		{ "https://h", "https://auth.example.com/token?x=1", true },
		{ "https://h", "https://h:5001/token", true },
		{ "https://h", "http://h/token", false },
		{ "https://h", "http://auth.example.com/token", false },
		{ "http://h", "http://auth.example.com/token", true },
		{ "http://h", "https://auth.example.com/token", true },
		{ "https://h", "https://8.8.8.8/token", true },
		{ "https://10.0.0.1:5000", "https://10.0.0.1/token", true },
		{ "https://[::1]:5000", "https://[0:0:0:0:0:0:0:1]/token", true },
		{ "https://localhost", "https://localhost/token", true },
		{ "https://10.0.0.1", "https://10.0.0.2/token", false },
		{ "https://h", "https://169.254.169.254/latest", false },
		{ "http://h", "http://169.254.169.254/latest", false },
		{ "https://h", "https://127.0.0.1/", false },
		{ "https://h", "https://127.1/", false },
		{ "https://h", "https://2130706433/", false },
		{ "https://h", "https://0x7f000001/", false },
		{ "https://h", "https://0177.0.0.1/", false },
		{ "https://h", "https://127.0.0.1./", false },
		{ "https://h", "https://0.0.0.0/", false },
		{ "https://h", "https://172.31.0.1/", false },
		{ "https://h", "https://172.32.0.1/", true },
		{ "https://h", "https://192.168.1.1/", false },
		{ "https://h", "https://100.64.0.1/", false },
		{ "https://h", "https://224.0.0.1/", false },
		{ "https://h", "https://[::1]/", false },
		{ "https://h", "https://[::]/", false },
		{ "https://h", "https://[fe80::1]/", false },
		{ "https://h", "https://[fd00:ec2::254]/", false },
		{ "https://h", "https://[::ffff:127.0.0.1]/", false },
		{ "https://h", "https://[64:ff9b::a9fe:a9fe]/", false },
		{ "https://h", "https://[2002:7f00:1::]/", false },
		{ "https://h", "https://[2001:4860:4860::8888]/", true },
		{ "https://h", "https://localhost/", false },
		{ "https://h", "https://x.LocalHost./", false },
		{ "https://h", "https://user:pw@auth.example.com/", false },
		{ "https://h", "https://\xef\xbc\x91/", false },
		{ "https://h", "https://a b/", false },
		{ "https://h", "file:///etc/passwd", false },
		{ "https://h", "/token", false },
		{ "https://h", "", false },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct place registry;
		struct err err = { .kind = ERR_NONE };

		assert_int_equal(url_place(rows[i].registry, &registry, &err), 0);
		if (!token_check_realm(rows[i].realm, &registry, &err) != rows[i].allowed)
			fail_msg("%s at %s: %s", rows[i].realm, rows[i].registry, err.msg);
		if (!rows[i].allowed)
			assert_int_equal(err.kind, ERR_FORMAT);
	}
}

static void asks(void **state)
{
	static const struct {
		const char *realm, *service, *scope, *url;
	} rows[] = {
		{ "https://a/t", "s", "repository:x/y:pull",
		  "https://a/t?service=s&scope=repository%3ax%2fy%3apull" },
		{ "https://a/t?k=v#f", "s v&w", "a b",
		  "https://a/t?k=v&service=s+v%26w&scope=a&scope=b" },
		{ "https://a/t", "", "x", "https://a/t?scope=x" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct challenge challenge = { .bearer = true };
		CLEANUP(cleanup_free) char *url = NULL;
		struct err err;

		(void)snprintf(challenge.realm, sizeof(challenge.realm), "%s", rows[i].realm);
		(void)snprintf(challenge.service, sizeof(challenge.service), "%s", rows[i].service);
		(void)snprintf(challenge.scope, sizeof(challenge.scope), "%s", rows[i].scope);
		url = token_url(&challenge, &err);
		assert_non_null(url);
		assert_string_equal(url, rows[i].url);
	}
}

static void asks_with_a_refresh_token(void **state)
{
	const struct challenge challenge = { .service = "s v", .scope = "repository:x:pull" };
	struct err err;
	CLEANUP(cleanup_free) char *form = token_form(&challenge, "a+/=&\xc3", &err);

	(void)state;
	assert_non_null(form);
	assert_string_equal(form, "grant_type=refresh_token&client_id=specman&service=s%20v"
	                          "&scope=repository%3Ax%3Apull&refresh_token=a%2B%2F%3D%26%C3");
}

static void reads_tokens(void **state)
{
	static const struct {
		const char *body, *token;
		int64_t seconds;
		enum err_kind kind;
	} rows[] = {
		{ "{\"token\":\"a.b-c\"}", "a.b-c", 60, ERR_NONE },
		{ "{\"token\":\"\",\"access_token\":\"b\",\"expires_in\":300}", "b", 300,
		  ERR_NONE },
		{ "{\"token\":null,\"access_token\":\"b\"}", "b", 60, ERR_NONE },
		{ "{\"token\":\"a\",\"access_token\":\"b\",\"expires_in\":\"9\"}", "a", 60,
		  ERR_NONE },
		{ "{\"token\":\"a\",\"expires_in\":-1}", "a", 60, ERR_NONE },
		{ "{\"token\":\"a\",\"expires_in\":1e300}", "a", 86400, ERR_NONE },
		{ "{\"token\":\"a\\r\\nX: y\"}", NULL, 0, ERR_FORMAT },
		{ "{\"token\":\"a b\"}", NULL, 0, ERR_FORMAT },
		{ "{\"token\":7}", NULL, 0, ERR_AUTH },
		{ "{}", NULL, 0, ERR_AUTH },
		{ "[]", NULL, 0, ERR_AUTH },
		{ "", NULL, 0, ERR_FORMAT },
		{ "<html>", NULL, 0, ERR_FORMAT },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(cleanup_free) char *token = NULL;
		struct err err = { .kind = ERR_NONE };
		int64_t seconds = 0;
		int failed = token_read(rows[i].body, strlen(rows[i].body), &token, &seconds, &err);

		assert_int_equal(failed, rows[i].token ? 0 : -1);
		assert_int_equal(err.kind, rows[i].kind);
		assert_int_equal(seconds, rows[i].seconds);
		if (rows[i].token)
			assert_string_equal(token, rows[i].token);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_realms),
		cmocka_unit_test(asks),
		cmocka_unit_test(asks_with_a_refresh_token),
		cmocka_unit_test(reads_tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
