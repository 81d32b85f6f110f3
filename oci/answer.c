/* Unwanted answers; see answer.h. */
#include "oci/answer.h"

#include <string.h>

#include "oci/aws_error.h"
#include "oci/error_body.h"

/* ngx_http_special_response.c, of nginx' own statuses 496 and 495 */
#define NO_CERTIFICATE  "No required SSL certificate was sent"
#define BAD_CERTIFICATE "The SSL certificate error"

static bool is_denial(long status)
{
	return status == 401 || status == 403;
}

bool answer_may_pass(long status)
{
	return status == 408 || status == 425 || status == 429 || status >= 500;
}

static enum err_kind kind_of(const struct exchange *exchange)
{
	long status = exchange->status;

	if (is_denial(status))
		return exchange->foreign ? ERR_NETWORK : ERR_AUTH;
	if (status == 407 || status == 412)
		return ERR_AUTH;
	/* Of whether a tag is gone, the registry alone can tell. */
	if (status == 404)
		return exchange->foreign ? ERR_LOST : ERR_NOT_FOUND;
	return answer_may_pass(status) ? ERR_NETWORK : ERR_FORMAT;
}

/* Whether what an error says begins with this code, or, for NULL, with any of the specification. */
static bool has_code(const char *said, const char *code)
{
	size_t size = strspn(said, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	if (said[size] && said[size] != ':')
		return false;
	return code ? strlen(code) == size && !strncmp(said, code, size) : size > 0;
}

/* nginx says in HTML, with a 400, that TLS had no client certificate or one it doesn't trust. */
static bool wants_certificate(const struct exchange *exchange)
{
	return exchange->status == 400 && exchange->body.data &&
	       (memmem(exchange->body.data, exchange->body.size, NO_CERTIFICATE,
	               sizeof(NO_CERTIFICATE) - 1) ||
	        memmem(exchange->body.data, exchange->body.size, BAD_CERTIFICATE,
	               sizeof(BAD_CERTIFICATE) - 1));
}

/*
 * A registry says which of both is missing, or at least which API it speaks
 * (distribution-spec, "Error Codes" and "Legacy Docker support HTTP headers"). The
 * answer to a HEAD has no body, so that it proves nothing.
 */
static enum oci_cause cause_of_absence(const struct exchange *exchange, const char *said)
{
	if (exchange->foreign)
		return OCI_CAUSE_CONTENT_GONE;
	if (has_code(said, "NAME_UNKNOWN"))
		return OCI_CAUSE_REPOSITORY_UNKNOWN;
	if (exchange->method != EXCHANGE_HEAD && !has_code(said, NULL) &&
	    !exchange_header(exchange, "Docker-Distribution-Api-Version", 0))
		return OCI_CAUSE_NOT_A_REGISTRY;
	return strstr(exchange->url, "/tags/list") ? OCI_CAUSE_REPOSITORY_UNKNOWN
	                                           : OCI_CAUSE_CONTENT_GONE;
}

static enum oci_cause cause_of(const struct exchange *exchange, const char *said,
                               enum oci_cause denied)
{
	if (is_denial(exchange->status) && exchange->foreign)
		return OCI_CAUSE_NONE;
	if (wants_certificate(exchange))
		return OCI_CAUSE_TLS_CLIENT_CERT;
	switch (exchange->status) {
	case 401:
		return denied;
	case 403:
		return OCI_CAUSE_NO_RIGHT;
	case 404:
		return cause_of_absence(exchange, said);
	case 407:
		return OCI_CAUSE_PROXY_LOGIN;
	case 412:
		return OCI_CAUSE_POLICY;
	case 429:
		return OCI_CAUSE_RATE_LIMITED;
	default:
		return exchange->status >= 500 ? OCI_CAUSE_SERVER_FAILED : OCI_CAUSE_NONE;
	}
}

/* Where the body says nothing, in words what the number means here. */
static const char *meaning_of(long status, enum oci_cause cause)
{
	switch (cause) {
	case OCI_CAUSE_TLS_CLIENT_CERT:
		return "it wants a client certificate, or another one";
	case OCI_CAUSE_NOT_A_REGISTRY:
		return "not found, and the answer is none of a registry's";
	default:
		break;
	}
	switch (status) {
	case 401:
		return "authentication required";
	case 403:
		return "access denied";
	case 404:
		return "not found";
	case 407:
		return "the proxy wants a login, or another one";
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

int answer_refuse(const struct exchange *exchange, const char *who, struct answer_hint hint,
                  struct err *err)
{
	bool with_hint = is_denial(exchange->status) && !exchange->foreign && hint.text[0];
	enum oci_cause cause;
	char said[ERROR_BODY_SIZE], right[AWS_RIGHT_SIZE];

	(void)error_body_format(exchange->body.data ? exchange->body.data : "", exchange->body.size,
	                        said);
	if (exchange->status == 403 && !exchange->foreign &&
	    aws_error_right(buf_text(&exchange->body), right))
		return refuse_right(exchange, who, right, said, err);
	cause = cause_of(exchange, said, hint.cause);
	(void)err_set(err, kind_of(exchange), "%ld from %s%s: %s%s%s", exchange->status,
	              exchange->foreign ? exchange->host : who,
	              exchange->foreign ? " (redirected)" : "",
	              said[0] ? said : meaning_of(exchange->status, cause), with_hint ? "; " : "",
	              with_hint ? hint.text : "");
	return err_cause(err, cause);
}
