/* Which hosts are ECR's, which are only made to look so, and where their API is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "oci/aws_region.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void knows_hosts(void **state)
{
	static const struct {
		const char *host, *region, *api;
	} rows[] = {
		{ "123456789012.dkr.ecr.us-east-1.amazonaws.com", "us-east-1",
		  "api.ecr.us-east-1.amazonaws.com" },
		{ "123456789012.dkr.ecr.us-east-1.amazonaws.com:443", "us-east-1",
		  "api.ecr.us-east-1.amazonaws.com" },
		{ "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1",
		  "ecr-fips.us-gov-west-1.amazonaws.com" },
		{ "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1",
		  "api.ecr.cn-north-1.amazonaws.com.cn" },
		{ "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1",
		  "api.ecr.eusc-de-east-1.amazonaws.eu" },
		{ "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1",
		  "api.ecr.us-isob-east-1.sc2s.sgov.gov" },
		{ "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1",
		  "api.ecr.us-iso-east-1.c2s.ic.gov" },
		{ "123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1",
		  "api.ecr.us-isof-south-1.csp.hci.ic.gov" },
		{ "123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1",
		  "api.ecr.eu-isoe-west-1.cloud.adc-e.uk" },
		{ "123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1", "ecr.eu-west-1.api.aws" },
		{ "123456789012.dkr-ecr-fips.us-east-2.on.aws", "us-east-2",
		  "ecr-fips.us-east-2.api.aws" },
		{ "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1",
		  "ecr.cn-north-1.api.amazonwebservices.com.cn" },
		{ "public.ecr.aws", "us-east-1", "api.ecr-public.us-east-1.amazonaws.com" },
		{ "ecr-public.aws.com", "us-east-1", "ecr-public.us-east-1.api.aws" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		char api[URL_HOST_SIZE];
		struct ecr_host host;

		if (!ecr_host_parse(rows[i].host, &host))
			fail_msg("%s is not known", rows[i].host);
		assert_string_equal(host.region, rows[i].region);
		assert_string_equal(ecr_host_api(&host, api), rows[i].api);
		assert_int_equal(host.is_public, !strncmp(rows[i].host, "public", 6) ||
		                                         !strncmp(rows[i].host, "ecr-p", 5));
		if (!host.is_public && !host.dual_stack)
			assert_ptr_equal(host.partition, aws_partition_of(host.region));
	}
}

static void refuses_other_hosts(void **state)
{
	static const char *const rows[] = {
		"123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.com",
		"evil.com.123456789012.dkr.ecr.us-east-1.amazonaws.com",
		"x123456789012.dkr.ecr.us-east-1.amazonaws.com",
		"12345678901.dkr.ecr.us-east-1.amazonaws.com",
		"1234567890123.dkr.ecr.us-east-1.amazonaws.com",
		"123456789012.dkr.ecr.us-east-1.evil.amazonaws.com",
		"123456789012.dkr.ecr..amazonaws.com",
		"123456789012.dkr.ecr.-east-1.amazonaws.com",
		"123456789012.dkr.ecr.us_east_1.amazonaws.com",
		"123456789012.dkr.ecr.us-east-1.amazonaws.com.",
		"123456789012.dkr.ecr.us-east-1.amazonaws.org",
		"123456789012.dkr.ecr.us-east-1xamazonaws.com",
		"123456789012.dkr.ecr.us-east-1.notamazonaws.com",
		"123456789012.dkr.ecr.us-east-1.on.aws",
		"123456789012.dkr-ecr.us-east-1.amazonaws.com",
		"123456789012.dkr.ecrx.us-east-1.amazonaws.com",
		"123456789012.dkr.ecr-fipsx.us-east-1.amazonaws.com",
		"123456789012.dkr.ecr.us-east-1.amazonaws.com:",
		"123456789012.dkr.ecr.us-east-1.amazonaws.com:443@evil.com",
		"123456789012.dkr.ecr.us-east-1.amazonaws.com:443:1",
		"123456789012.dkr.ecr.us-east-1",
		"123456789012.dkr.ecr.a23456789-123456789-123456789-1234567890.amazonaws.com",
		"123456789012",
		"api.ecr.us-east-1.amazonaws.com",
		"public.ecr.aws.evil.com",
		"evilpublic.ecr.aws",
		"harbor.example.com",
		"[::1]:5000",
		"",
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct ecr_host host;

		if (ecr_host_parse(rows[i], &host))
			fail_msg("%s is taken for ECR", rows[i]);
	}
}

static void checks_regions(void **state)
{
	static const char *const wrong[] = { "",    "-",   "US-EAST-1", "us.east", "a/b",
		                             "us-", "1us", "us east",   "us:ecr",  "\xc3" };

	(void)state;
	assert_true(aws_region_is_valid("us-gov-west-1"));
	for (size_t i = 0; i < LEN(wrong); i++)
		assert_false(aws_region_is_valid(wrong[i]));
	assert_string_equal(aws_partition_of("us-isob-west-1")->suffix, "sc2s.sgov.gov");
	assert_string_equal(aws_partition_of("us-gov-west-1")->suffix, "amazonaws.com");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_hosts),
		cmocka_unit_test(refuses_other_hosts),
		cmocka_unit_test(checks_regions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
