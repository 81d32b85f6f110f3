/* What the errors of AWS mean, and that their text betrays nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "oci/aws_error.h"
#include "oci/oci.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

#define JSON(code, message) "{\"__type\":\"" code "\",\"message\":\"" message "\"}"
#define XML(code, message)                                                                         \
	"<ErrorResponse><Error><Type>Sender</Type><Code>" code "</Code>\n<Message>" message        \
	"</Message></Error></ErrorResponse>"

static const struct {
	const char *body;
	long status;
	const char *role;
	int64_t skew_s;
	enum err_kind kind;
	enum oci_cause cause;
	const char *words;
} explained[] = {
	{ JSON("UnrecognizedClientException", "The security token … is invalid."), 400, NULL, 0,
	  ERR_AUTH, OCI_CAUSE_AWS_KEY_UNKNOWN, "the access key of the keys" },
	{ XML("InvalidClientTokenId", "x"), 403, "r", 0, ERR_AUTH, OCI_CAUSE_AWS_KEY_UNKNOWN,
	  "the access key of the keys" },
	{ JSON("com.amazon.coral.service#InvalidSignatureException:http://x", "y"), 400, NULL, 0,
	  ERR_AUTH, OCI_CAUSE_AWS_SIGNATURE, "does not fit its access key" },
	{ XML("SignatureDoesNotMatch", "y"), 403, "r", 0, ERR_AUTH, OCI_CAUSE_AWS_SIGNATURE,
	  "does not fit its access key" },
	{ JSON("InvalidSignatureException", "Signature expired: 1 is now earlier than 2"), 400,
	  NULL, 16 * 60 + 20, ERR_AUTH, OCI_CAUSE_AWS_CLOCK, "16 minutes behind that of AWS" },
	{ XML("SignatureDoesNotMatch", "Signature not yet current: 1 is later than 2"), 403, NULL,
	  -7200, ERR_AUTH, OCI_CAUSE_AWS_CLOCK, "120 minutes ahead of that of AWS" },
	{ XML("RequestExpired", "x"), 400, NULL, 0, ERR_AUTH, OCI_CAUSE_AWS_CLOCK,
	  "compare this machine's clock" },
	{ JSON("InvalidSignatureException",
	       "Credential should be scoped to a valid region, not 'x'."),
	  400, NULL, 0, ERR_AUTH, OCI_CAUSE_AWS_REGION, "not the right one" },
	{ JSON("ExpiredTokenException", "x"), 400, NULL, 0, ERR_AUTH, OCI_CAUSE_AWS_EXPIRED,
	  "have ended" },
	{ XML("ExpiredToken", "x"), 403, NULL, 0, ERR_AUTH, OCI_CAUSE_AWS_EXPIRED, "have ended" },
	{ JSON("AccessDeniedException", "User: arn is not authorized"), 400, NULL, 0, ERR_AUTH,
	  OCI_CAUSE_AWS_RIGHT_MISSING, "the right ecr:X is missing" },
	{ JSON("AccessDeniedException",
	       "x is not authorized to perform: sts:GetServiceBearerToken on y"),
	  400, NULL, 0, ERR_AUTH, OCI_CAUSE_AWS_RIGHT_MISSING,
	  "the right sts:GetServiceBearerToken is missing" },
	{ XML("AccessDenied", "User: arn"), 403, "arn:aws:iam::1:role/r", 0, ERR_AUTH,
	  OCI_CAUSE_AWS_ROLE_REFUSED, "the role arn:aws:iam::1:role/r can't be assumed" },
	{ XML("InvalidIdentityToken", "No OpenIDConnect &quot;x&quot;"), 400, "r", 0, ERR_AUTH,
	  OCI_CAUSE_AWS_ROLE_REFUSED, "No OpenIDConnect \"x\"" },
	{ JSON("ThrottlingException", "Rate exceeded"), 400, NULL, 0, ERR_NETWORK,
	  OCI_CAUSE_RATE_LIMITED, "asked too often" },
	{ "{\"__type\":\"ServerException\"}", 500, NULL, 0, ERR_NETWORK, OCI_CAUSE_SERVER_FAILED,
	  "500 from h: ServerException" },
	{ "<html><body>x</body></html>", 502, NULL, 0, ERR_NETWORK, OCI_CAUSE_SERVER_FAILED,
	  "502 from h: unexpected answer" },
	{ "", 404, NULL, 0, ERR_FORMAT, OCI_CAUSE_NONE, "404 from h: unexpected answer" },
	{ "[]", 403, NULL, 0, ERR_AUTH, OCI_CAUSE_NONE, "403 from h: unexpected answer" },
	{ "{\"__type\":7,\"message\":{}}", 400, NULL, 0, ERR_FORMAT, OCI_CAUSE_NONE,
	  "unexpected answer" },
	{ JSON("Exception", "x"), 400, NULL, 0, ERR_FORMAT, OCI_CAUSE_NONE, "Exception: x" },
};

static void explains(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(explained); i++) {
		const struct aws_question question = { "h", "ecr:X", "the keys",
			                               explained[i].role };
		struct err err = { .kind = ERR_NONE };
		struct aws_error error;

		aws_error_read(explained[i].body, strlen(explained[i].body), &error);
		assert_int_equal(aws_error_fill(&error, explained[i].status, &question,
		                                explained[i].skew_s, &err),
		                 -1);
		if (!strstr(err.msg, explained[i].words) || err.kind != explained[i].kind ||
		    err.cause != (int)explained[i].cause)
			fail_msg("row %zu: %s, cause %d: %s", i, err_kind_name(err.kind), err.cause,
			         err.msg);
	}
}

/* AWS repeats the headers of a request whose signature it refuses. */
static void keeps_secrets(void **state)
{
	static const char *const rows[] = {
		JSON("AccessDeniedException", "Refused.\\n\\nx-amz-security-token:S3CRET"),
		JSON("InvalidSignatureException", "y\\nx-amz-security-token:S3CRET"),
		XML("AccessDenied", "Refused.\n\nx-amz-security-token:S3CRET"),
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		const struct aws_question question = { "h", "ecr:X", "the keys", NULL };
		struct aws_error error;
		struct err err;

		aws_error_read(rows[i], strlen(rows[i]), &error);
		(void)aws_error_fill(&error, 400, &question, 0, &err);
		assert_null(strstr(err.msg, "S3CRET"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(explains),
		cmocka_unit_test(keeps_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
