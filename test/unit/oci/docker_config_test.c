/* Credentials in a docker config.json: keys of every form, the longest path, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/oci.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static int find(const char *text, struct oci_credentials *out, struct err *err)
{
	struct oci_reference reference = { .host = "h:5000", .name = "team/app" };

	return oci_docker_config_find(text, strlen(text), "secret", &reference, out, err);
}

static void finds_entries(void **state)
{
	static const struct {
		const char *text, *username, *password;
	} rows[] = {
		{ "{\"auths\":{\"h:5000\":{\"auth\":\"dTpw\"}}}", "u", "p" },
		{ "{\"auths\":{\"https://H:5000\":{\"auth\":\"dTpw\"}}}", "u", "p" },
		{ "{\"auths\":{\"https://h:5000/v1/\":{\"auth\":\"dTpw\"}}}", "u", "p" },
		{ "{\"auths\":{\"h:5000/v2\":{\"username\":\"u\",\"password\":\"p\"}}}", "u", "p" },
		{ "{\"auths\":{\"h:5000\":{\"auth\":\"dTpwOnE=\",\"username\":\"x\"}}}", "u",
		  "p:q" },
		{ "{\"auths\":{\"h:5000\":{\"auth\":\"dTpwOnE\"}}}", "u", "p:q" },
		{ "{\"auths\":{\"h:5000\":{\"auth\":\"dTpwAAA=\"}}}", "u", "p" },
		{ "{\"auths\":{\"h:5000\":{\"auth\":\"cm9ib3QkYSti"
		  "OnDDpA==\"}}}",
		  "robot$a+b", "p\xc3\xa4" },
		{ "{\"auths\":{\"h:5000\":{\"auth\":\"eDp5\"},\"h:5000/team\":{\"auth\":\"dTpw\"},"
		  "\"h:5000/team/ap\":{\"auth\":\"eDp5\"}}}",
		  "u", "p" },
		{ "{\"auths\":{\"h:5000/team/app\":{\"auth\":\"dTpw\"},"
		  "\"h:5000/team\":{\"auth\":\"eDp5\"}}}",
		  "u", "p" },
		{ "{\"credsStore\":\"x\",\"auths\":{\"h:5000\":{\"auth\":\"dTpw\"}}}", "u", "p" },
		{ "{\"credHelpers\":{\"other\":\"x\"},\"auths\":{\"h:5000\":{\"auth\":\"dTpw\"}}}",
		  "u", "p" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(oci_credentials_release)
		struct oci_credentials found = { .username = NULL };
		struct err err;

		if (find(rows[i].text, &found, &err))
			fail_msg("%s: %s", rows[i].text, err.msg);
		assert_string_equal(found.username, rows[i].username);
		assert_string_equal(found.password, rows[i].password);
	}
}

static void finds_tokens(void **state)
{
	CLEANUP(oci_credentials_release) struct oci_credentials found = { .username = NULL };
	struct err err;

	(void)state;
	assert_int_equal(find("{\"auths\":{\"h:5000\":{\"auth\":\"dTo=\",\"identitytoken\":\"i\","
	                      "\"registrytoken\":\"r\"}}}",
	                      &found, &err),
	                 0);
	assert_string_equal(found.username, "u");
	assert_null(found.password);
	assert_string_equal(found.identity_token, "i");
	assert_string_equal(found.registry_token, "r");
}

static void refuses(void **state)
{
	static const struct {
		const char *text;
		enum err_kind kind;
	} rows[] = {
		{ "{}", ERR_NOT_FOUND },
		{ "{\"auths\":{}}", ERR_NOT_FOUND },
		{ "{\"auths\":{\"h\":{\"auth\":\"dTpw\"}}}", ERR_NOT_FOUND },
		{ "{\"auths\":{\"h:50001\":{\"auth\":\"dTpw\"}}}", ERR_NOT_FOUND },
		{ "{\"auths\":{\"xh:5000\":{\"auth\":\"dTpw\"}}}", ERR_NOT_FOUND },
		{ "{\"auths\":{\"h:5000/tea\":{\"auth\":\"dTpw\"}}}", ERR_NOT_FOUND },
		{ "{\"auths\":{\"h:5000/teem\":{\"auth\":\"dTpw\"}}}", ERR_NOT_FOUND },
		{ "{\"auths\":{\"h:5000/Team\":{\"auth\":\"dTpw\"}}}", ERR_NOT_FOUND },
		{ "{\"auths\":{\"h:5000\":{}}}", ERR_NOT_FOUND },
		{ "{\"auths\":{\"h:5000\":{}},\"credsStore\":\"pass\"}", ERR_CONFIG },
		{ "{\"credHelpers\":{\"h:5000\":\"ecr-login\"}}", ERR_CONFIG },
		{ "{\"auths\":{\"h:5000\":{\"auth\":\"SECRET!\"}}}", ERR_FORMAT },
		{ "{\"auths\":{\"h:5000\":{\"auth\":\"U0VDUkVU\"}}}", ERR_FORMAT },
		{ "{\"auths\":{\"h:5000\":{\"auth\":\"dQA6cA==\"}}}", ERR_FORMAT },
		{ "{\"auths\":{\"h:5000\":{\"username\":\"SECRET:\"}}}", ERR_FORMAT },
		{ "{\"auths\":{\"h:5000\":7}}", ERR_FORMAT },
		{ "{\"auths\":{\"h:5000\":{\"auth\":\"SECRET\"", ERR_FORMAT },
		{ "SECRET", ERR_FORMAT },
		{ "[]", ERR_FORMAT },
		{ "", ERR_FORMAT },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct oci_credentials found = { .username = NULL };
		struct err err = { .kind = ERR_NONE };

		assert_int_equal(find(rows[i].text, &found, &err), -1);
		if (err.kind != rows[i].kind)
			fail_msg("%s: %s", rows[i].text, err.msg);
		assert_null(found.username);
		assert_non_null(strstr(err.msg, "secret"));
		assert_null(strstr(err.msg, "SECRET"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_entries),
		cmocka_unit_test(finds_tokens),
		cmocka_unit_test(refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
