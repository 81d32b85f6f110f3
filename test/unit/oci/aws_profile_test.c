/* What of a shared credentials file is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/aws_source.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void finds_profiles(void **state)
{
	static const struct {
		const char *text, *profile, *access_key, *secret_key, *session_token;
		enum err_kind kind;
	} rows[] = {
		{ "[default]\naws_access_key_id = A\naws_secret_access_key = S\n", "default", "A",
		  "S", NULL, ERR_NONE },
		{ "# c\r\n[ default ]\r\nAWS_ACCESS_KEY_ID=A\r\n; "
		  "c\r\naws_secret_access_key\t=\tS/+= "
		  "\r\naws_session_token = T==\r\n",
		  "default", "A", "S/+=", "T==", ERR_NONE },
		{ "[a]\naws_access_key_id=1\naws_secret_access_key=2\n[b]\naws_access_key_id=3\n"
		  "aws_secret_access_key=4",
		  "b", "3", "4", NULL, ERR_NONE },
		{ "[a]\naws_access_key_id=1\naws_access_key_id=2\naws_secret_access_key=3\n", "a",
		  "2", "3", NULL, ERR_NONE },
		{ "[a]\ns3 =\n  aws_access_key_id = nested\naws_access_key_id=1\n"
		  "aws_secret_access_key=a=b\nregion = x\n",
		  "a", "1", "a=b", NULL, ERR_NONE },
		/* The end of a profile's name is its end. */
		{ "[ab]\naws_access_key_id=1\naws_secret_access_key=2\n", "a", NULL, NULL, NULL,
		  ERR_NOT_FOUND },
		{ "[a\naws_access_key_id=1\naws_secret_access_key=2\n", "a", NULL, NULL, NULL,
		  ERR_NOT_FOUND },
		{ "aws_access_key_id=1\naws_secret_access_key=2\n[a]\n", "a", NULL, NULL, NULL,
		  ERR_NOT_FOUND },
		{ "[a]\nrole_arn = arn\nsource_profile = b\n", "a", NULL, NULL, NULL,
		  ERR_NOT_FOUND },
		{ "[a]\naws_access_key_id=1\n", "a", NULL, NULL, NULL, ERR_CONFIG },
		{ "[a]\naws_access_key_id=1\naws_secret_access_key=\n", "a", NULL, NULL, NULL,
		  ERR_CONFIG },
		{ "[a]\naws_access_key_id=1 2\naws_secret_access_key=3\n", "a", NULL, NULL, NULL,
		  ERR_CONFIG },
		{ "[a]\naws_access_key_id=1\xc3\naws_secret_access_key=3\n", "a", NULL, NULL, NULL,
		  ERR_CONFIG },
		{ "", "a", NULL, NULL, NULL, ERR_NOT_FOUND },
		{ "[", "a", NULL, NULL, NULL, ERR_NOT_FOUND },
		{ "=\n[]\n=\n", "", NULL, NULL, NULL, ERR_NOT_FOUND },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(aws_keys_release) struct aws_keys keys = AWS_KEYS_NONE;
		struct err err = { .kind = ERR_NONE };
		int failed = aws_profile_read(rows[i].text, strlen(rows[i].text), rows[i].profile,
		                              &keys, &err);

		if (err.kind != rows[i].kind)
			fail_msg("row %zu: %s", i, err.msg);
		assert_int_equal(failed, rows[i].kind ? -1 : 0);
		if (failed)
			continue;
		assert_string_equal(keys.access_key, rows[i].access_key);
		assert_string_equal(keys.secret_key, rows[i].secret_key);
		assert_int_equal(!keys.session_token, !rows[i].session_token);
		if (keys.session_token)
			assert_string_equal(keys.session_token, rows[i].session_token);
		assert_int_equal(keys.life_s, 0);
	}
}

static void refuses_a_nul(void **state)
{
	static const char text[] = "[a]\naws_access_key_id=1\0\naws_secret_access_key=2\n";
	CLEANUP(aws_keys_release) struct aws_keys keys = AWS_KEYS_NONE;
	struct err err;

	(void)state;
	assert_int_equal(aws_profile_read(text, sizeof(text) - 1, "a", &keys, &err), -1);
	assert_int_equal(err.kind, ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_profiles),
		cmocka_unit_test(refuses_a_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
