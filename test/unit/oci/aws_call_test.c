/* Where questions to AWS, and to the agents of a node, may go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/aws_call.h"
#include "oci/aws_source.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static const char *override_name;
static const char *override_value;

static char *environment(const char *name)
{
	static char value[200];

	if (!override_name || strcmp(name, override_name) != 0)
		return NULL;
	(void)snprintf(value, sizeof(value), "%s", override_value);
	return value;
}

static void overrides_endpoints(void **state)
{
	static const struct {
		const char *name, *value, *url;
	} rows[] = {
		{ NULL, NULL, "https://sts.x.amazonaws.com/" },
		{ "AWS_ENDPOINT_URL_STS", "", "https://sts.x.amazonaws.com/" },
		{ "AWS_ENDPOINT_URL_ECR", "https://a", "https://sts.x.amazonaws.com/" },
		{ "AWS_ENDPOINT_URL_STS", "https://vpce.example.com", "https://vpce.example.com" },
		{ "AWS_ENDPOINT_URL", "https://vpce.example.com/", "https://vpce.example.com/" },
		{ "AWS_ENDPOINT_URL", "http://127.0.0.1:4566", "http://127.0.0.1:4566" },
		{ "AWS_ENDPOINT_URL", "http://[::1]:4566", "http://[::1]:4566" },
		{ "AWS_ENDPOINT_URL", "http://localhost:4566", "http://localhost:4566" },
		{ "AWS_ENDPOINT_URL", "http://example.com", NULL },
		{ "AWS_ENDPOINT_URL", "http://127.0.0.1.example.com", NULL },
		{ "AWS_ENDPOINT_URL", "http://127.evil", NULL },
		{ "AWS_ENDPOINT_URL", "http://169.254.169.254", NULL },
		{ "AWS_ENDPOINT_URL", "file:///etc/passwd", NULL },
		{ "AWS_ENDPOINT_URL", "https://u:p@example.com", NULL },
		{ "AWS_ENDPOINT_URL", "x", NULL },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(cleanup_free) char *url = NULL;
		struct err err = { .kind = ERR_NONE };

		override_name = rows[i].name;
		override_value = rows[i].value;
		url = aws_call_url(environment, "AWS_ENDPOINT_URL_STS", "sts.x.amazonaws.com",
		                   &err);
		if (!url != !rows[i].url)
			fail_msg("%s: %s", rows[i].value, url ? url : err.msg);
		if (url)
			assert_string_equal(url, rows[i].url);
		else
			assert_int_equal(err.kind, ERR_CONFIG);
	}
}

static void judges_agents(void **state)
{
	static const struct {
		const char *url;
		bool allowed;
	} rows[] = {
		{ "http://169.254.170.2/v2/credentials/x", true },
		{ "http://169.254.170.23/v1/credentials", true },
		{ "http://[fd00:ec2::23]/v1/credentials", true },
		{ "http://[fd00:ec2:0:0::23]/v1/credentials", true },
		{ "http://127.0.0.1:1/", true },
		{ "http://127.8.9.10/", true },
		{ "http://localhost/", true },
		{ "http://[::1]/", true },
		{ "https://agent.example.com/", true },
		{ "http://agent.example.com/", false },
		{ "http://169.254.169.254/", false },
		{ "http://169.254.170.2.evil.com/", false },
		{ "http://169.254.170.2@evil.com/", false },
		{ "http://169.254.170.23.evil.com:169/", false },
		{ "http://127.0.0.1.evil.com/", false },
		{ "http://localhost.evil.com/", false },
		{ "http://10.0.0.1/", false },
		{ "http://[fd00:ec2::254]/", false },
		{ "ftp://127.0.0.1/", false },
		{ "/v1/credentials", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct err err = { .kind = ERR_NONE };

		if (!aws_container_check(rows[i].url, &err) != rows[i].allowed)
			fail_msg("%s: %s", rows[i].url, err.msg);
		if (!rows[i].allowed)
			assert_int_equal(err.kind, ERR_CONFIG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overrides_endpoints),
		cmocka_unit_test(judges_agents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
