/* Unwanted answers; see answer.h. */
#include "oci/answer.h"

#include <stdbool.h>

#include "oci/aws_error.h"
#include "oci/error_body.h"

static bool is_denial(long status)
{
	return status == 401 || status == 403;
}

static enum err_kind kind_of(const struct exchange *exchange)
{
	long status = exchange->status;

	if (is_denial(status))
		return exchange->foreign ? ERR_NETWORK : ERR_AUTH;
	if (status == 412)
		return ERR_AUTH;
	if (status == 404)
		return ERR_NOT_FOUND;
	if (status == 408 || status == 425 || status == 429 || status >= 500)
		return ERR_NETWORK;
	return ERR_FORMAT;
}

/* Where the body says nothing, in words what the number means here. */
static const char *meaning_of(long status)
{
	switch (status) {
	case 401:
		return "authentication required";
	case 403:
		return "access denied";
	case 404:
		return "not found";
	case 412:
		return "a policy of the registry forbids it";
	case 429:
		return "too many requests";
	default:
		return status >= 500 ? "the server failed" : "unexpected answer";
	}
}

static int refuse_right(const struct exchange *exchange, const char *who, const char *right,
                        const char *said, struct err *err)
{
	(void)err_set(err, ERR_AUTH, "%ld from %s: the right %s is missing: %s", exchange->status,
	              who, right, said);
	return err_cause(err, OCI_CAUSE_AWS_RIGHT_MISSING);
}

int answer_refuse(const struct exchange *exchange, const char *who, const char *hint,
                  struct err *err)
{
	bool with_hint = is_denial(exchange->status) && !exchange->foreign && hint[0];
	char said[ERROR_BODY_SIZE], right[AWS_RIGHT_SIZE];

	(void)error_body_format(exchange->body.data ? exchange->body.data : "", exchange->body.size,
	                        said);
	if (exchange->status == 403 && !exchange->foreign &&
	    aws_error_right(buf_text(&exchange->body), right))
		return refuse_right(exchange, who, right, said, err);
	return err_set(err, kind_of(exchange), "%ld from %s%s: %s%s%s", exchange->status,
	               exchange->foreign ? exchange->host : who,
	               exchange->foreign ? " (redirected)" : "",
	               said[0] ? said : meaning_of(exchange->status), with_hint ? "; " : "",
	               with_hint ? hint : "");
}
