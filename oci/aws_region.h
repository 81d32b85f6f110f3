/*
 * Amazon's regions and partitions, and the places that its services have in them
 * (AWS General Reference, "Amazon ECR endpoints"; the partitions of the SDKs).
 */
#ifndef SPECMAN_OCI_AWS_REGION_H
#define SPECMAN_OCI_AWS_REGION_H

#include <stdbool.h>

#include "base/err.h"
#include "oci/url.h"

enum { AWS_REGION_SIZE = 40 };

/* A part of AWS with names and accounts of its own. */
struct aws_partition {
	const char *region_prefix;
	const char *suffix;          /* of services and registries: "amazonaws.com" */
	const char *registry_suffix; /* of dual-stack registries: "on.aws" */
	const char *api_suffix;      /* of dual-stack services: "api.aws" */
};

/* Whether it can be part of a host name and of a signature's scope. */
bool aws_region_is_valid(const char *region);

/* Never NULL: what is none of the others is in the first and largest one. */
const struct aws_partition *aws_partition_of(const char *region);

/* Of the hosts that have the suffix with or without dual stack; NULL: no such partition. */
const struct aws_partition *aws_partition_with(const char *suffix, bool dual_stack);

/* A host of ECR. */
struct ecr_host {
	bool is_public;
	bool fips;
	bool dual_stack;                       /* IPv6, too */
	char region[AWS_REGION_SIZE];          /* where its API is */
	const struct aws_partition *partition; /* never NULL */
};

/*
 * Whether HOST[:PORT], in lower case, is one of ECR's, as a whole:
 *
 *	<12 digits>.dkr.ecr[-fips].<region>.amazonaws.com     and other partitions' suffixes
 *	<12 digits>.dkr-ecr[-fips].<region>.on.aws            the same, dual-stack
 *	public.ecr.aws, ecr-public.aws.com
 */
bool ecr_host_parse(const char *host, struct ecr_host *out_host);

/* The host of the API that gives tokens for it, in a buffer of URL_HOST_SIZE. Returns text. */
char *ecr_host_api(const struct ecr_host *host, char text[static URL_HOST_SIZE]);

#endif
