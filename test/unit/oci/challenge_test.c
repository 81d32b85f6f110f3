/* WWW-Authenticate as registries send it, and as they shouldn't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "oci/challenge.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void reads_challenges(void **state)
{
	static const struct {
		const char *first, *second;
		bool basic, bearer;
		const char *realm, *service, *scope;
	} rows[] = {
		{ "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:x:pull\"", NULL,
		  false, true, "https://a/t", "s", "repository:x:pull" },
		{ "bearer REALM = https://a/t , Service=s", NULL, false, false, "", "", "" },
		{ "bearer REALM = \"https://a/t\" , Service=s", NULL, false, true, "https://a/t",
		  "s", "" },
		{ "Basic realm=\"x, Bearer realm=\\\"https://evil\\\"\"", NULL, true, false, "", "",
		  "" },
		{ "Basic realm=\"r\"", "Bearer realm=\"https://a/t\"", true, true, "https://a/t",
		  "", "" },
		{ "Basic realm=\"r\", Bearer realm=\"https://a/t\",error=\"invalid_token\"", NULL,
		  true, true, "https://a/t", "", "" },
		{ "Negotiate dGVzdA==, Basic", NULL, true, false, "", "", "" },
		{ "Negotiate, Bearer realm=\"https://a/t\", NTLM", NULL, false, true, "https://a/t",
		  "", "" },
		{ "Bearer realm=\"h\\ttp\\\\s\\\"\"", NULL, false, true, "http\\s\"", "", "" },
		{ "Bearer realm=\"https://a\",realm=\"https://b\"", NULL, false, true, "https://a",
		  "", "" },
		{ "Bearer realm=\"https://a\", Bearer realm=\"https://b\"", NULL, false, true,
		  "https://a", "", "" },
		{ " , ,Basic ,, ", NULL, true, false, "", "", "" },
		/* Broken: nothing of it counts, what stood before does. */
		{ "Bearer realm=\"https://a", NULL, false, false, "", "", "" },
		{ "Basic, Bearer realm=\"https://a\\", NULL, true, false, "", "", "" },
		{ "Bearer realm=\"https://a\" service=\"s\"", NULL, false, false, "", "", "" },
		{ "Bearer service=\"s\"", NULL, false, false, "", "", "" },
		{ "Bearer", NULL, false, false, "", "", "" },
		{ "Basic\"", NULL, false, false, "", "", "" },
		{ "", "=", false, false, "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct challenge challenge = { .basic = false };

		challenge_add(&challenge, rows[i].first);
		if (rows[i].second)
			challenge_add(&challenge, rows[i].second);
		if (challenge.basic != rows[i].basic || challenge.bearer != rows[i].bearer)
			fail_msg("%s: basic %d, bearer %d", rows[i].first, challenge.basic,
			         challenge.bearer);
		assert_string_equal(challenge.realm, rows[i].realm);
		assert_string_equal(challenge.service, rows[i].service);
		assert_string_equal(challenge.scope, rows[i].scope);
	}
}

static void refuses_what_does_not_fit(void **state)
{
	static char header[3 * CHALLENGE_REALM_SIZE];
	struct challenge challenge = { .basic = false };
	char filler[CHALLENGE_REALM_SIZE + 1];

	(void)state;
	memset(filler, 'a', sizeof(filler) - 1);
	filler[sizeof(filler) - 1] = '\0';
	(void)snprintf(header, sizeof(header), "Bearer realm=\"%s\"", filler);
	challenge_add(&challenge, header);
	assert_false(challenge.bearer);
	filler[sizeof(filler) - 2] = '\0';
	(void)snprintf(header, sizeof(header), "Bearer realm=\"%s\"", filler);
	challenge_add(&challenge, header);
	assert_true(challenge.bearer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_challenges),
		cmocka_unit_test(refuses_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
