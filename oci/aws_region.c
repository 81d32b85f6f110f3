/* Regions, partitions, hosts; see aws_region.h. */
#include "oci/aws_region.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { ACCOUNT_DIGITS = 12 };

static const struct aws_partition partitions[] = {
	{ "", "amazonaws.com", "on.aws", "api.aws" },
	{ "cn-", "amazonaws.com.cn", "on.amazonwebservices.com.cn",
	  "api.amazonwebservices.com.cn" },
	{ "eusc-", "amazonaws.eu", "on.amazonwebservices.eu", "api.amazonwebservices.eu" },
	{ "us-iso-", "c2s.ic.gov", "on.aws.ic.gov", "api.aws.ic.gov" },
	{ "us-isob-", "sc2s.sgov.gov", "on.aws.scloud", "api.aws.scloud" },
	{ "us-isof-", "csp.hci.ic.gov", "on.aws.hci.ic.gov", "api.aws.hci.ic.gov" },
	{ "eu-isoe-", "cloud.adc-e.uk", "on.cloud-aws.adc-e.uk", "api.cloud-aws.adc-e.uk" },
};

enum { PARTITION_COUNT = sizeof(partitions) / sizeof(partitions[0]) };

/* ECR Public has one API for the world. */
static const char public_region[] = "us-east-1";

bool aws_region_is_valid(const char *region)
{
	size_t size = strlen(region);

	if (!size || size >= AWS_REGION_SIZE || !islower((unsigned char)region[0]) ||
	    region[size - 1] == '-')
		return false;
	for (const char *c = region; *c; c++) {
		if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '-')
			return false;
	}
	return true;
}

const struct aws_partition *aws_partition_of(const char *region)
{
	for (size_t i = 1; i < PARTITION_COUNT; i++) {
		const char *prefix = partitions[i].region_prefix;

		if (!strncmp(region, prefix, strlen(prefix)))
			return &partitions[i];
	}
	return &partitions[0];
}

const struct aws_partition *aws_partition_with(const char *suffix, bool dual_stack)
{
	for (size_t i = 0; i < PARTITION_COUNT; i++) {
		if (!strcmp(suffix,
		            dual_stack ? partitions[i].registry_suffix : partitions[i].suffix))
			return &partitions[i];
	}
	return NULL;
}

/* Step over text at *at, if it is there. */
static bool skip(const char **at, const char *text)
{
	size_t size = strlen(text);

	if (strncmp(*at, text, size) != 0)
		return false;
	*at += size;
	return true;
}

/* Cut off ":PORT". False: what stands behind the colon is no port, or the host is too long. */
static bool split_port(const char *text, char host[static URL_HOST_SIZE])
{
	size_t size = strcspn(text, ":");
	const char *port = text + size;

	if (size >= URL_HOST_SIZE)
		return false;
	memcpy(host, text, size);
	host[size] = '\0';
	return !*port || (port[1] && !port[1 + strspn(port + 1, "0123456789")]);
}

static bool parse_public(const char *name, struct ecr_host *host)
{
	host->dual_stack = !strcmp(name, "ecr-public.aws.com");
	if (!host->dual_stack && strcmp(name, "public.ecr.aws") != 0)
		return false;
	host->is_public = true;
	memcpy(host->region, public_region, sizeof(public_region));
	host->partition = aws_partition_of(public_region);
	return true;
}

static bool parse_private(const char *at, struct ecr_host *host)
{
	size_t size;

	if (strspn(at, "0123456789") != ACCOUNT_DIGITS)
		return false;
	at += ACCOUNT_DIGITS;
	host->dual_stack = skip(&at, ".dkr-ecr");
	if (!host->dual_stack && !skip(&at, ".dkr.ecr"))
		return false;
	host->fips = skip(&at, "-fips");
	if (!skip(&at, "."))
		return false;
	size = strcspn(at, ".");
	if (!at[size] || size >= sizeof(host->region))
		return false;
	memcpy(host->region, at, size);
	host->region[size] = '\0';
	host->partition = aws_partition_with(at + size + 1, host->dual_stack);
	return host->partition && aws_region_is_valid(host->region);
}

bool ecr_host_parse(const char *text, struct ecr_host *out_host)
{
	struct ecr_host host = { .is_public = false };
	char name[URL_HOST_SIZE];

	if (!split_port(text, name))
		return false;
	if (!parse_public(name, &host) && !parse_private(name, &host))
		return false;
	*out_host = host;
	return true;
}

char *ecr_host_api(const struct ecr_host *host, char text[static URL_HOST_SIZE])
{
	const char *service = host->is_public ? "ecr-public" : host->fips ? "ecr-fips" : "ecr";
	bool with_api = !host->dual_stack && !host->fips;

	(void)snprintf(text, URL_HOST_SIZE, "%s%s.%s.%s", with_api ? "api." : "", service,
	               host->region,
	               host->dual_stack ? host->partition->api_suffix : host->partition->suffix);
	return text;
}
