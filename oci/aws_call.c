/* Calls; see aws_call.h. */
#include "oci/aws_call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/aws_error.h"
#include "oci/aws_region.h"
#include "oci/aws_time.h"
#include "oci/limits.h"
#include "oci/url.h"

enum { SCOPE_SIZE = AWS_REGION_SIZE + 40, LINES = 2 };

bool aws_is_loopback(const struct place *place)
{
	/* url_place has made it one of the usual forms: a name can't begin with "127." and end in
	 * a number. */
	const char *dot = strrchr(place->host, '.');

	return !strcmp(place->host, "localhost") || !strcmp(place->host, "[::1]") ||
	       (!strncmp(place->host, "127.", 4) && dot[1] &&
	        !dot[1 + strspn(dot + 1, "0123456789")]);
}

static int check_override(const char *url, const char *variable, struct err *err)
{
	struct place place;

	if (url_place(url, &place, err)) {
		err->kind = ERR_CONFIG;
		return err_context(err, "%s", variable);
	}
	if (!place.secure && !aws_is_loopback(&place))
		return err_set(err, ERR_CONFIG, "%s is http, and %s is not this machine: use https",
		               variable, place.host);
	return 0;
}

char *aws_call_url(char *(*environment)(const char *name), const char *variable, const char *host,
                   struct err *err)
{
	const char *names[] = { variable, "AWS_ENDPOINT_URL" };
	char *url = NULL;

	for (size_t i = 0; environment && i < 2; i++) {
		const char *value = environment(names[i]);

		if (!value || !*value)
			continue;
		if (check_override(value, names[i], err))
			return NULL;
		url = strdup(value);
		if (!url)
			(void)err_set_sys(err, ENOMEM, "AWS request");
		return url;
	}
	if (asprintf(&url, "https://%s/", host) < 0) {
		(void)err_set_sys(err, ENOMEM, "AWS request");
		return NULL;
	}
	return url;
}

static void add_line(struct exchange *exchange, struct exchange_line *lines, const char *name,
                     const char *value)
{
	if (value)
		lines[exchange->line_count++] = (struct exchange_line){ name, value };
}

/* The exchange borrows lines and signature: both end here. */
static void ask(struct transport *transport, const struct aws_call *call, struct exchange *exchange)
{
	struct exchange_line lines[LINES];
	struct exchange_signature signature = { .scope = NULL };
	char scope[SCOPE_SIZE];

	*exchange = (struct exchange){
		.method = EXCHANGE_POST,
		.url = call->url,
		.form = call->body,
		.secret = call->secret,
		.content_type = call->content_type,
		.lines = lines,
		.size = EXCHANGE_ANY_SIZE,
		.max_bytes = LIMIT_AWS_BYTES,
		.answer_ms = LIMIT_AWS_ANSWER_MS,
		.may_be_plain = !strncmp(call->url, "http://", 7),
	};
	add_line(exchange, lines, "X-Amz-Target", call->target);
	if (call->keys) {
		(void)snprintf(scope, sizeof(scope), "aws:amz:%s:%s", call->region, call->service);
		signature = (struct exchange_signature){ scope, call->keys->access_key,
			                                 call->keys->secret_key };
		exchange->signature = &signature;
		/* The other two are never sent. */
		exchange->secret = call->keys->session_token;
		add_line(exchange, lines, "X-Amz-Security-Token", call->keys->session_token);
	}
	transport_ask(transport, exchange);
	exchange->lines = NULL;
	exchange->line_count = 0;
	exchange->signature = NULL;
	exchange->secret = NULL;
}

int aws_call(struct transport *transport, const struct aws_call *call, struct exchange *exchange,
             struct err *err)
{
	struct aws_question question = {
		.action = call->action,
		.source = call->keys ? call->keys->source : NULL,
		.role = call->role,
	};
	struct aws_error error;

	ask(transport, call, exchange);
	if (exchange->failed) {
		*err = exchange->err;
		return err_context(err, "%s", call->action);
	}
	if (exchange->status == 200)
		return 0;
	question.who = exchange->host;
	aws_error_read(buf_text(&exchange->body), exchange->body.size, &error);
	return aws_error_fill(&error, exchange->status, &question, aws_time_skew(exchange), err);
}
