/* Which registries are logged in to with AWS credentials, and the answers that are a login. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/answer.h"
#include "oci/aws_error.h"
#include "oci/ecr.h"
#include "oci/limits.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define ECR_HOST   "123456789012.dkr.ecr.us-east-1.amazonaws.com"

static void applies(void **state)
{
	static char word[] = "x";
	static const struct {
		const char *host;
		struct oci_credentials credentials;
		bool is_ecr, applies;
	} rows[] = {
		{ ECR_HOST, { .username = NULL }, false, true },
		{ ECR_HOST, { .username = word }, false, false },
		{ ECR_HOST, { .registry_token = word }, false, false },
		{ ECR_HOST, { .username = word }, true, true },
		{ "harbor.example.com", { .username = NULL }, false, false },
		{ "harbor.example.com", { .username = NULL }, true, true },
		{ ECR_HOST ".evil.com", { .username = NULL }, false, false },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct oci_settings settings = { .credentials = rows[i].credentials,
			                         .aws = { .is_ecr = rows[i].is_ecr } };

		(void)snprintf(settings.reference.host, sizeof(settings.reference.host), "%s",
		               rows[i].host);
		assert_int_equal(oci_uses_aws(&settings), rows[i].applies);
	}
}

static int read_login(const char *body, struct ecr_login *login, struct err *err)
{
	CLEANUP(exchange_release)
	struct exchange exchange = { .size = EXCHANGE_ANY_SIZE, .max_bytes = LIMIT_AWS_BYTES };

	assert_int_equal(exchange_take_body(&exchange, 200, -1, body, strlen(body)), 0);
	return ecr_login_read(&exchange, login, err);
}

static void reads_logins(void **state)
{
	static const struct {
		const char *format; /* of a time */
		int64_t life_s, renew_s;
	} rows[] = {
		{ "{\"authorizationData\":[{\"authorizationToken\":\"QVdTOng=\","
		  "\"expiresAt\":%" PRId64 ".987}]}",
		  7200, 3600 },
		{ "{\"authorizationData\":{\"authorizationToken\":\"QVdTOng=\",\"expiresAt\":"
		  "%" PRId64 "}}",
		  600, 300 },
		/* Nobody's word that it lives longer counts. */
		{ "{\"authorizationData\":[{\"authorizationToken\":\"QVdTOng=\",\"expiresAt\":"
		  "%" PRId64 "}]}",
		  1000000, 0 },
		{ "{\"authorizationData\":[{\"authorizationToken\":\"QVdTOng=\","
		  "\"expiresAt\":\"%" PRId64 "\"}]}",
		  1000000, 0 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(ecr_login_release) struct ecr_login login = { .token = NULL };
		int64_t life_s = rows[i].life_s < LIMIT_AWS_LIFE_S ? rows[i].life_s
		                                                   : LIMIT_AWS_LIFE_S;
		int64_t renew_s = rows[i].renew_s ? rows[i].renew_s : 11 * 3600;
		struct err err;
		char body[256];

		(void)snprintf(body, sizeof(body), rows[i].format, time(NULL) + rows[i].life_s);
		assert_int_equal(read_login(body, &login, &err), 0);
		assert_string_equal(login.token, "QVdTOng=");
		assert_in_range(login.life_s, life_s - 5, life_s);
		assert_in_range(login.renew_s, renew_s - 5, renew_s);
	}
}

static void refuses_logins(void **state)
{
	static const char *const rows[] = {
		"",
		"{}",
		"[]",
		"{\"authorizationData\":[]}",
		"{\"authorizationData\":{}}",
		"{\"authorizationData\":[{\"authorizationToken\":\"\"}]}",
		"{\"authorizationData\":[{\"authorizationToken\":7}]}",
		"{\"authorizationData\":[{\"authorizationToken\":\"a b\"}]}",
		"{\"authorizationData\":[{\"authorizationToken\":\"QVdT\\r\\nX: y\"}]}",
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct ecr_login login = { .token = NULL };
		struct err err = { .kind = ERR_NONE };

		assert_int_equal(read_login(rows[i], &login, &err), -1);
		assert_int_equal(err.kind, ERR_FORMAT);
	}
}

static void names_missing_rights(void **state)
{
	static const struct {
		const char *body, *right;
	} rows[] = {
		{ "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"User: arn is not authorized to "
		  "perform: ecr:BatchGetImage on resource: arn\"}]}",
		  "ecr:BatchGetImage" },
		{ "not authorized to perform: ecr-public:X", "ecr-public:X" },
		{ "not authorized to perform: ", NULL },
		{ "not authorized to perform: it", NULL },
		{ "Your authorization token has expired.", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(exchange_release) struct exchange exchange = { .size = EXCHANGE_ANY_SIZE };
		char right[AWS_RIGHT_SIZE] = "";
		struct err err;

		assert_int_equal(
			exchange_take_body(&exchange, 403, -1, rows[i].body, strlen(rows[i].body)),
			0);
		exchange_end(&exchange, 403, -1);
		assert_int_equal(aws_error_right(rows[i].body, right), rows[i].right != NULL);
		assert_int_equal(answer_refuse(&exchange, "r",
		                               (struct answer_hint){ "", OCI_CAUSE_NONE }, &err),
		                 -1);
		assert_int_equal(err.kind, ERR_AUTH);
		assert_int_equal(err.cause,
		                 rows[i].right ? OCI_CAUSE_AWS_RIGHT_MISSING : OCI_CAUSE_NO_RIGHT);
		if (rows[i].right)
			assert_string_equal(right, rows[i].right);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(applies),
		cmocka_unit_test(reads_logins),
		cmocka_unit_test(refuses_logins),
		cmocka_unit_test(names_missing_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
