/* Logging in to ECR; see ecr.h. */
#include "oci/ecr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/aws_call.h"
#include "oci/aws_chain.h"
#include "oci/aws_region.h"
#include "oci/aws_time.h"
#include "oci/json.h"
#include "oci/limits.h"
#include "oci/wipe.h"

struct ecr {
	struct ecr_host host;
	struct transport *transport;
	struct aws_chain *chain;
	char *api; /* the URL */
	bool may_be_nobody;
};

DEFINE_CLEANUP(cleanup_ecr, struct ecr, ecr_free);

static bool has_credentials(const struct oci_credentials *credentials)
{
	return credentials->username || credentials->identity_token || credentials->registry_token;
}

bool oci_uses_aws(const struct oci_settings *settings)
{
	struct ecr_host host;

	if (settings->aws.is_ecr)
		return true;
	return ecr_host_parse(settings->reference.host, &host) &&
	       !has_credentials(&settings->credentials);
}

/* A host whose name says nothing. */
static int describe_host(const struct oci_settings *settings, struct ecr_host *host,
                         struct err *err)
{
	static const char *const variables[] = { "AWS_REGION", "AWS_DEFAULT_REGION" };
	const char *region = settings->aws.region;

	host->is_public = settings->aws.is_public;
	if (host->is_public)
		region = "us-east-1";
	for (size_t i = 0; i < 2 && settings->environment && (!region || !*region); i++)
		region = settings->environment(variables[i]);
	if (!region || !*region) {
		(void)err_set(err, ERR_CONFIG,
		              "%s: the region of this ECR registry is not known: give the secret's "
		              "region or AWS_REGION",
		              settings->reference.host);
		return err_cause(err, OCI_CAUSE_AWS_REGION);
	}
	if (!aws_region_is_valid(region)) {
		(void)err_set(err, ERR_CONFIG, "%s: \"%.60s\" is no region of AWS",
		              settings->reference.host, region);
		return err_cause(err, OCI_CAUSE_AWS_REGION);
	}
	memcpy(host->region, region, strlen(region) + 1);
	host->partition = aws_partition_of(region);
	return 0;
}

struct ecr *ecr_new(const struct oci_settings *settings, struct transport *transport,
                    struct err *err)
{
	CLEANUP(cleanup_ecr) struct ecr *ecr = calloc(1, sizeof(*ecr));
	char api[URL_HOST_SIZE];

	if (!ecr) {
		(void)err_set_sys(err, ENOMEM, "AWS credentials");
		return NULL;
	}
	ecr->transport = transport;
	if (!ecr_host_parse(settings->reference.host, &ecr->host) &&
	    describe_host(settings, &ecr->host, err))
		return NULL;
	ecr->may_be_nobody = ecr->host.is_public && settings->aws.kind == OCI_AWS_CHAIN;
	ecr->chain = aws_chain_new(settings, transport, ecr->host.region, err);
	if (!ecr->chain)
		return NULL;
	ecr->api = aws_call_url(settings->environment,
	                        ecr->host.is_public ? "AWS_ENDPOINT_URL_ECR_PUBLIC"
	                                            : "AWS_ENDPOINT_URL_ECR",
	                        ecr_host_api(&ecr->host, api), err);
	return ecr->api ? STEAL(ecr) : NULL;
}

void ecr_free(struct ecr *ecr)
{
	if (!ecr)
		return;
	aws_chain_free(ecr->chain);
	free(ecr->api);
	free(ecr);
}

bool ecr_is_public(const struct ecr *ecr)
{
	return ecr->host.is_public;
}

void ecr_login_release(struct ecr_login *login)
{
	wipe_text(&login->token);
}

static bool is_base64(const char *text)
{
	size_t size = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                           "0123456789+/=");

	return size && !text[size] && size <= LIMIT_AWS_KEY_BYTES;
}

int ecr_login_read(const struct exchange *exchange, struct ecr_login *out_login, struct err *err)
{
	json_auto_t *root = json_bounded(buf_text(&exchange->body), exchange->body.size, err);
	const json_t *data = json_object_get(root, "authorizationData");
	int64_t life_s = LIMIT_AWS_LIFE_S;
	const json_t *expires_at;
	const char *text;
	double end_s;
	char *token;

	if (!root)
		return err_context(err, "answer of %s", exchange->host);
	if (json_is_array(data))
		data = json_array_get(data, 0);
	text = json_text_at(data, "authorizationToken");
	if (!text || !is_base64(text))
		return err_set(err, ERR_FORMAT, "answer of %s: it has no authorizationToken",
		               exchange->host);
	expires_at = json_object_get(data, "expiresAt");
	end_s = json_number_value(expires_at);
	/* Seconds since 1970; what no date can be is none. */
	if (end_s >= 1 && end_s < 1e11)
		life_s = aws_time_life(exchange, (int64_t)end_s);
	token = strdup(text);
	if (!token)
		return err_set_sys(err, ENOMEM, "AWS credentials");
	*out_login = (struct ecr_login){
		.token = token,
		.life_s = life_s,
		.renew_s = aws_time_renew(life_s, AWS_TOKEN_MARGIN_S),
	};
	return 0;
}

static int ask(struct ecr *ecr, const struct aws_keys *keys, struct ecr_login *out_login,
               struct err *err)
{
	CLEANUP(aws_exchange_release) struct exchange exchange = { .size = EXCHANGE_ANY_SIZE };
	bool is_public = ecr->host.is_public;
	const struct aws_call call = {
		.url = ecr->api,
		.region = ecr->host.region,
		.service = is_public ? "ecr-public" : "ecr",
		.action = is_public ? "ecr-public:GetAuthorizationToken"
		                    : "ecr:GetAuthorizationToken",
		.keys = keys,
		.target = is_public ? "SpencerFrontendService.GetAuthorizationToken"
		                    : "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
		.content_type = "application/x-amz-json-1.1",
		.body = "{}",
	};

	if (aws_call(ecr->transport, &call, &exchange, err))
		return -1;
	return ecr_login_read(&exchange, out_login, err);
}

/* Whether other keys of the same source may do better. */
static bool is_about_keys(const struct err *err)
{
	return err->cause == OCI_CAUSE_AWS_EXPIRED || err->cause == OCI_CAUSE_AWS_KEY_UNKNOWN ||
	       err->cause == OCI_CAUSE_AWS_SIGNATURE;
}

int ecr_login(struct ecr *ecr, struct ecr_login *out_login, struct err *err)
{
	const struct aws_keys *keys = NULL;
	bool kept = false;
	struct err why;

	if (aws_chain_keys(ecr->chain, &keys, &kept, &why)) {
		if (ecr->may_be_nobody && why.cause == OCI_CAUSE_AWS_NO_CREDENTIALS) {
			*out_login = (struct ecr_login){ .token = NULL };
			return 0;
		}
		*err = why;
		return -1;
	}
	if (!ask(ecr, keys, out_login, &why))
		return 0;
	if (is_about_keys(&why))
		aws_chain_forget(ecr->chain);
	if (is_about_keys(&why) && kept) {
		if (aws_chain_keys(ecr->chain, &keys, &kept, err))
			return -1;
		return ask(ecr, keys, out_login, err);
	}
	*err = why;
	return -1;
}
