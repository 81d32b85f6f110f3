/* Why a registry takes no push. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "oci/answer.h"
#include "oci/refusal.h"

static const struct answer_hint powerless = { "a hint", OCI_CAUSE_TOKEN_POWERLESS };

static const struct row {
	const char *name;
	long status;
	bool foreign;
	const char *body;
	int cause;
	enum err_kind kind;
} rows[] = {
	{ "denied", 403, false, "", OCI_CAUSE_PUSH_NO_RIGHT, ERR_AUTH },
	{ "a token for reading", 401, false, "", OCI_CAUSE_PUSH_NO_RIGHT, ERR_AUTH },
	{ "a storage denies", 403, true, "", 0, ERR_NETWORK },
	{ "quota, as denied", 403, false,
	  "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"will exceed "
	  "the configured upper limit\"}]}",
	  OCI_CAUSE_PUSH_FULL, ERR_NO_SPACE },
	{ "quota, as a failure", 500, false, "Quota exceeded", OCI_CAUSE_PUSH_FULL, ERR_NO_SPACE },
	{ "ENOSPC", 500, false, "{\"errors\":[{\"detail\":{\"Err\":28}}]}", OCI_CAUSE_PUSH_FULL,
	  ERR_NO_SPACE },
	{ "another errno", 500, false, "{\"errors\":[{\"detail\":{\"Err\":5}}]}",
	  OCI_CAUSE_SERVER_FAILED, ERR_NETWORK },
	{ "507", 507, false, "", OCI_CAUSE_PUSH_FULL, ERR_NO_SPACE },
	{ "413", 413, false, "<html>", OCI_CAUSE_PUSH_TOO_LARGE, ERR_FORMAT },
	{ "immutable", 412, false, "configured as immutable", OCI_CAUSE_PUSH_IMMUTABLE, ERR_AUTH },
	{ "immutable, as bad", 400, false, "tag cannot be overwritten", OCI_CAUSE_PUSH_IMMUTABLE,
	  ERR_AUTH },
	{ "another policy", 412, false, "", OCI_CAUSE_POLICY, ERR_AUTH },
	{ "no repository", 404, false, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}",
	  OCI_CAUSE_PUSH_NO_REPOSITORY, ERR_NOT_FOUND },
	{ "no registry", 404, false, "<html>", OCI_CAUSE_NOT_A_REGISTRY, ERR_NOT_FOUND },
	{ "may pass", 503, false, "", OCI_CAUSE_SERVER_FAILED, ERR_NETWORK },
};

static void causes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP(exchange_release)
		struct exchange exchange = { .method = EXCHANGE_PUT,
			                     .url = "https://example.com/v2/a/manifests/1",
			                     .status = rows[i].status,
			                     .foreign = rows[i].foreign,
			                     .body = BUF_INIT(1000) };
		struct err err;

		assert_int_equal(buf_add(&exchange.body, rows[i].body, strlen(rows[i].body), &err),
		                 0);
		(void)answer_refuse(&exchange, "the registry", powerless, &err);
		assert_int_equal(refusal_explain(&exchange, &err), -1);
		if (err.cause != rows[i].cause || err.kind != rows[i].kind)
			fail_msg("%s: cause %d, kind %d", rows[i].name, err.cause, err.kind);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(causes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
