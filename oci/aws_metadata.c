/*
 * The role of an EC2 instance (EC2 user guide, "Retrieve security credentials
 * from instance metadata", IMDSv2); see aws_source.h.
 *
 * Most machines have no such service: no answer within a second or two is no
 * failure, but says that there are no credentials here.
 */
#include "oci/aws_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "oci/aws_call.h"
#include "oci/limits.h"
#include "oci/url.h"

static const char source[] = "the instance's role";
static const char endpoint_variable[] = "AWS_EC2_METADATA_SERVICE_ENDPOINT";

enum { ROLE_SIZE = 128 }; /* IAM: 64 */

/* The service's addresses, or this machine's for a stand-in. */
static int check_endpoint(const char *url, struct err *err)
{
	struct place place;

	if (url_place(url, &place, err)) {
		err->kind = ERR_CONFIG;
		return err_context(err, "%s", endpoint_variable);
	}
	if (place.secure || aws_is_loopback(&place) || !strcmp(place.host, "169.254.169.254") ||
	    !strcmp(place.host, "[fd00:ec2::254]"))
		return 0;
	return err_set(err, ERR_CONFIG, "%s: %s may not be asked over http", endpoint_variable,
	               place.host);
}

static int ask(const struct aws *aws, const char *endpoint, enum exchange_method method,
               const char *path, const struct exchange_line *line, struct exchange *exchange,
               struct err *err)
{
	CLEANUP(cleanup_free) char *url = NULL;
	size_t size = strlen(endpoint);

	while (size && endpoint[size - 1] == '/')
		size--;
	if (asprintf(&url, "%.*s%s", (int)size, endpoint, path) < 0) {
		url = NULL;
		return err_set_sys(err, ENOMEM, "AWS request");
	}
	*exchange = (struct exchange){
		.method = method,
		.url = url,
		.lines = line,
		.line_count = 1,
		.size = EXCHANGE_ANY_SIZE,
		.max_bytes = LIMIT_AWS_BYTES,
		.connect_ms = LIMIT_METADATA_CONNECT_MS,
		.answer_ms = LIMIT_METADATA_ANSWER_MS,
		.direct = true,
		.may_be_plain = true,
	};
	transport_ask(aws->transport, exchange);
	exchange->url = NULL;
	exchange->lines = NULL;
	exchange->line_count = 0;
	if (exchange->failed) {
		*err = exchange->err;
		return -1;
	}
	if (exchange->status == 404)
		return err_set(err, ERR_NOT_FOUND, "the instance has no role");
	if (exchange->status != 200)
		return err_set(err, exchange->status >= 500 ? ERR_NETWORK : ERR_FORMAT,
		               "the metadata service answers %ld", exchange->status);
	return 0;
}

/* A word in a header or a path: *out is the exchange's. */
static int take_word(struct exchange *exchange, const char *what, size_t max, const char *forbidden,
                     const char **out, struct err *err)
{
	const char *text = buf_text(&exchange->body);
	size_t size = strcspn(text, "\r\n"); /* of roles the first, of which there is one */

	if (!size || size > max)
		return err_set(err, ERR_FORMAT, "the metadata service gives no %s", what);
	exchange->body.data[size] = '\0';
	for (const char *c = text; *c; c++) {
		if (*c <= ' ' || *c > '~' || strchr(forbidden, *c))
			return err_set(err, ERR_FORMAT, "the metadata service gives a broken %s",
			               what);
	}
	*out = text;
	return 0;
}

static int find(const struct aws *aws, const char *endpoint, struct aws_keys *out_keys,
                struct err *err)
{
	static const char credentials[] = "/latest/meta-data/iam/security-credentials/";
	const struct exchange_line ttl = { "X-aws-ec2-metadata-token-ttl-seconds", "300" };
	struct exchange_line token = { "X-aws-ec2-metadata-token", NULL };
	CLEANUP(aws_exchange_release) struct exchange login = { .size = EXCHANGE_ANY_SIZE };
	CLEANUP(aws_exchange_release) struct exchange list = { .size = EXCHANGE_ANY_SIZE };
	CLEANUP(aws_exchange_release) struct exchange keys = { .size = EXCHANGE_ANY_SIZE };
	char path[sizeof(credentials) + ROLE_SIZE];
	const char *role = NULL;

	if (ask(aws, endpoint, EXCHANGE_PUT, "/latest/api/token", &ttl, &login, err) ||
	    take_word(&login, "token", LIMIT_AWS_KEY_BYTES, "", &token.value, err) ||
	    ask(aws, endpoint, EXCHANGE_GET, credentials, &token, &list, err) ||
	    take_word(&list, "role", ROLE_SIZE - 1, "/?#%", &role, err))
		return -1;
	(void)snprintf(path, sizeof(path), "%s%s", credentials, role);
	if (ask(aws, endpoint, EXCHANGE_GET, path, &token, &keys, err))
		return -1;
	return aws_keys_read(&keys, source, out_keys, err);
}

enum aws_found aws_metadata_find(const struct aws *aws, struct aws_keys *out_keys, struct err *err)
{
	const char *disabled = aws_variable(aws, "AWS_EC2_METADATA_DISABLED");
	const char *endpoint = aws_variable(aws, endpoint_variable);

	if (disabled && !strcasecmp(disabled, "true")) {
		(void)err_set(err, ERR_NOT_FOUND, "AWS_EC2_METADATA_DISABLED");
		return AWS_ABSENT;
	}
	if (endpoint && check_endpoint(endpoint, err))
		return AWS_FAILED;
	if (!find(aws, endpoint ? endpoint : "http://169.254.169.254", out_keys, err))
		return AWS_FOUND;
	if (err->kind == ERR_NETWORK || err->kind == ERR_NOT_FOUND)
		return AWS_ABSENT;
	(void)err_context(err, "%s", source);
	return AWS_FAILED;
}
