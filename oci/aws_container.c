/*
 * The agent for containers (AWS SDKs reference guide, "Container credential
 * provider"); see aws_source.h.
 */
#include "oci/aws_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/aws_call.h"
#include "oci/aws_error.h"
#include "oci/aws_time.h"
#include "oci/limits.h"
#include "oci/url.h"
#include "oci/wipe.h"

static const char source[] = "the container's agent";
static const char full_uri[] = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
static const char relative_uri[] = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";

int aws_container_check(const char *url, struct err *err)
{
	static const char *const allowed[] = { "169.254.170.2", "169.254.170.23",
		                               "[fd00:ec2::23]" };
	struct place place;

	if (url_place(url, &place, err)) {
		err->kind = ERR_CONFIG;
		return err_context(err, "%s", full_uri);
	}
	if (place.secure || aws_is_loopback(&place))
		return 0;
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		if (!strcmp(place.host, allowed[i]))
			return 0;
	}
	return err_set(err, ERR_CONFIG,
	               "%s: %s may not be asked over http: neither this machine nor an address "
	               "of AWS' agents",
	               full_uri, place.host);
}

/* NULL with ERR_NOT_FOUND: there is no agent. */
static char *agent_url(const struct aws *aws, struct err *err)
{
	const char *full = aws_variable(aws, full_uri);
	const char *relative = aws_variable(aws, relative_uri);
	char *url = NULL;

	if (!full && !relative) {
		(void)err_set(err, ERR_NOT_FOUND, "%s is not set", full_uri);
		return NULL;
	}
	if (asprintf(&url, "%s%s", relative ? "http://169.254.170.2" : "",
	             relative ? relative : full) < 0) {
		(void)err_set_sys(err, ENOMEM, "AWS request");
		return NULL;
	}
	if (aws_container_check(url, err)) {
		free(url);
		return NULL;
	}
	return url;
}

/* The file changes: the kubelet renews what is in it. */
static int read_authorization(const struct aws *aws, struct buf *token, struct err *err)
{
	static const char file[] = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
	static const char plain[] = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
	const char *text = aws_variable(aws, plain);

	if (aws_variable(aws, file))
		return aws_variable_file(aws, file, token, err);
	if (text && buf_add(token, text, strlen(text), err))
		return err_context(err, "%s", plain);
	return aws_check_word(token, plain, err);
}

static int ask(const struct aws *aws, const char *url, const char *authorization,
               struct aws_keys *out_keys, struct err *err)
{
	CLEANUP(aws_exchange_release)
	struct exchange exchange = {
		.method = EXCHANGE_GET,
		.url = url,
		.accept = "application/json",
		.authorization = authorization,
		.size = EXCHANGE_ANY_SIZE,
		.max_bytes = LIMIT_AWS_BYTES,
		.connect_ms = LIMIT_METADATA_CONNECT_MS,
		.answer_ms = LIMIT_AGENT_ANSWER_MS,
		.direct = true,
		.may_be_plain = true,
	};
	struct aws_question question = { .action = "credentials of the pod's role" };
	struct aws_error error;

	transport_ask(aws->transport, &exchange);
	if (exchange.failed) {
		*err = exchange.err;
		return err_context(err, "%s", source);
	}
	if (exchange.status == 200)
		return aws_keys_read(&exchange, source, out_keys, err);
	question.who = exchange.host;
	aws_error_read(buf_text(&exchange.body), exchange.body.size, &error);
	return aws_error_fill(&error, exchange.status, &question, aws_time_skew(&exchange), err);
}

enum aws_found aws_container_find(const struct aws *aws, struct aws_keys *out_keys, struct err *err)
{
	CLEANUP(wipe_buf) struct buf token = BUF_INIT(LIMIT_AWS_TOKEN_FILE);
	CLEANUP(cleanup_free) char *url = agent_url(aws, err);

	if (!url)
		return err->kind == ERR_NOT_FOUND ? AWS_ABSENT : AWS_FAILED;
	if (read_authorization(aws, &token, err) ||
	    ask(aws, url, token.size ? token.data : NULL, out_keys, err))
		return AWS_FAILED;
	return AWS_FOUND;
}
