/*
 * Roles (AWS STS API reference, AssumeRole and AssumeRoleWithWebIdentity; the
 * query protocol, whose answers are XML); see aws_source.h.
 */
#include "oci/aws_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/aws_call.h"
#include "oci/aws_time.h"
#include "oci/aws_xml.h"
#include "oci/form.h"
#include "oci/limits.h"
#include "oci/wipe.h"

static const char form_type[] = "application/x-www-form-urlencoded; charset=utf-8";

int aws_sts_read(const struct exchange *exchange, const char *source, struct aws_keys *out_keys,
                 struct err *err)
{
	const char *body = buf_text(&exchange->body);
	size_t size = exchange->body.size;
	CLEANUP(aws_keys_release) struct aws_keys keys = AWS_KEYS_NONE;
	CLEANUP(wipe_text) char *access_key = aws_xml_text(body, size, "AccessKeyId", err);
	CLEANUP(wipe_text)
	char *secret = access_key ? aws_xml_text(body, size, "SecretAccessKey", err) : NULL;
	CLEANUP(wipe_text)
	char *token = secret ? aws_xml_text(body, size, "SessionToken", err) : NULL;
	CLEANUP(wipe_text) char *end = token ? aws_xml_text(body, size, "Expiration", err) : NULL;
	int64_t end_s = 0;

	if (!end || aws_time_parse(end, &end_s, err) ||
	    aws_keys_set(access_key, secret, token, source, &keys, err)) {
		err->kind = ERR_FORMAT;
		return err_context(err, "answer of STS at %s", exchange->host);
	}
	keys.life_s = aws_time_life(exchange, end_s);
	keys.life_s = keys.life_s ? keys.life_s : 1;
	*out_keys = keys;
	keys = (struct aws_keys)AWS_KEYS_NONE;
	return 0;
}

static const char *session_name(const struct aws *aws)
{
	const char *name = aws_variable(aws, "AWS_ROLE_SESSION_NAME");

	return name ? name : "specman";
}

static int start_form(struct buf *form, const struct aws *aws, const char *action, const char *role,
                      struct err *err)
{
	return form_add(form, "Action", action, err) ||
	                       form_add(form, "Version", "2011-06-15", err) ||
	                       form_add(form, "RoleArn", role, err) ||
	                       form_add(form, "RoleSessionName", session_name(aws), err)
	               ? -1
	               : 0;
}

/* Ask the STS of the region: unsigned without keys. The secret is one in the form, or NULL. */
static int ask(const struct aws *aws, const char *action, const char *role,
               const struct aws_keys *keys, const struct buf *form, const char *secret,
               const char *source, struct aws_keys *out_keys, struct err *err)
{
	CLEANUP(aws_exchange_release) struct exchange exchange = { .size = EXCHANGE_ANY_SIZE };
	CLEANUP(cleanup_free) char *url = NULL;
	char host[URL_HOST_SIZE];
	struct aws_call call = {
		.region = aws->sts_region,
		.service = "sts",
		.action = action,
		.role = role,
		.keys = keys,
		.content_type = form_type,
		.body = buf_text(form),
		.secret = secret,
	};

	(void)snprintf(host, sizeof(host), "sts.%s.%s", aws->sts_region,
	               aws_partition_of(aws->sts_region)->suffix);
	call.url = url = aws_call_url(aws->environment, "AWS_ENDPOINT_URL_STS", host, err);
	if (!url || aws_call(aws->transport, &call, &exchange, err))
		return -1;
	return aws_sts_read(&exchange, source, out_keys, err);
}

int aws_sts_assume(const struct aws *aws, const struct aws_keys *keys, struct aws_keys *out_keys,
                   struct err *err)
{
	CLEANUP(buf_release) struct buf form = BUF_INIT(LIMIT_AWS_BYTES);
	const char *role = aws->given.role_arn;

	if (start_form(&form, aws, "AssumeRole", role, err) ||
	    (aws->given.external_id && form_add(&form, "ExternalId", aws->given.external_id, err)))
		return err_context(err, "sts:AssumeRole");
	return ask(aws, "sts:AssumeRole", role, keys, &form, NULL, "the assumed role", out_keys,
	           err);
}

enum aws_found aws_web_identity_find(const struct aws *aws, struct aws_keys *out_keys,
                                     struct err *err)
{
	static const char file[] = "AWS_WEB_IDENTITY_TOKEN_FILE";
	const char *role = aws_variable(aws, "AWS_ROLE_ARN");
	CLEANUP(wipe_buf) struct buf token = BUF_INIT(LIMIT_AWS_TOKEN_FILE);
	CLEANUP(wipe_buf) struct buf form = BUF_INIT(4 * LIMIT_AWS_TOKEN_FILE);

	if (!aws_variable(aws, file)) {
		(void)err_set(err, ERR_NOT_FOUND, "%s is not set", file);
		return AWS_ABSENT;
	}
	if (!role) {
		(void)err_set(err, ERR_CONFIG, "%s is set, but AWS_ROLE_ARN is not", file);
		return AWS_FAILED;
	}
	if (aws_variable_file(aws, file, &token, err) ||
	    start_form(&form, aws, "AssumeRoleWithWebIdentity", role, err) ||
	    form_add(&form, "WebIdentityToken", buf_text(&token), err) ||
	    ask(aws, "sts:AssumeRoleWithWebIdentity", role, NULL, &form, buf_text(&token),
	        "the web identity", out_keys, err))
		return AWS_FAILED;
	return AWS_FOUND;
}
