/* Errors of AWS; see aws_error.h. */
#include "oci/aws_error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/aws_xml.h"
#include "oci/json.h"
#include "oci/oci.h"

/* What a code means. Some services end the same names with "Exception". */
enum meaning {
	MEANS_OTHER,
	MEANS_KEY_UNKNOWN,
	MEANS_SIGNATURE,
	MEANS_CLOCK,
	MEANS_EXPIRED,
	MEANS_DENIED,
	MEANS_ROLE,
	MEANS_REGION,
	MEANS_THROTTLED,
};

static const struct {
	const char *code;
	enum meaning meaning;
} codes[] = {
	{ "UnrecognizedClient", MEANS_KEY_UNKNOWN },
	{ "InvalidClientTokenId", MEANS_KEY_UNKNOWN },
	{ "InvalidAccessKeyId", MEANS_KEY_UNKNOWN },
	{ "SignatureDoesNotMatch", MEANS_SIGNATURE },
	{ "InvalidSignature", MEANS_SIGNATURE },
	{ "RequestExpired", MEANS_CLOCK },
	{ "RequestTimeTooSkewed", MEANS_CLOCK },
	{ "ExpiredToken", MEANS_EXPIRED },
	{ "AccessDenied", MEANS_DENIED },
	{ "InvalidIdentityToken", MEANS_ROLE },
	{ "IDPRejectedClaim", MEANS_ROLE },
	{ "RegionDisabled", MEANS_REGION },
	{ "Throttling", MEANS_THROTTLED },
	{ "Throttled", MEANS_THROTTLED },
	{ "RequestThrottled", MEANS_THROTTLED },
	{ "RequestLimitExceeded", MEANS_THROTTLED },
	{ "TooManyRequests", MEANS_THROTTLED },
};

/* The first line: what follows may be the canonical request, with the session token. */
static void copy_line(char *out, size_t room, const char *text)
{
	json_copy_text(out, room, text);
	out[strcspn(out, "\r\n")] = '\0';
}

static void copy_code(char out[static AWS_CODE_SIZE], const char *text)
{
	const char *name = strchr(text, '#');

	copy_line(out, AWS_CODE_SIZE, name ? name + 1 : text);
	out[strcspn(out, ":")] = '\0';
}

void aws_error_read(const char *body, size_t size, struct aws_error *out_error)
{
	struct err unused;
	json_auto_t *root = json_bounded(body, size, &unused);
	const char *message = json_text_at(root, "message");
	const char *code = json_text_at(root, "__type");
	CLEANUP(cleanup_free) char *xml_code = NULL;
	CLEANUP(cleanup_free) char *xml_message = NULL;

	*out_error = (struct aws_error){ .code = "" };
	if (!root) {
		code = xml_code = aws_xml_text(body, size, "Code", &unused);
		message = xml_message = aws_xml_text(body, size, "Message", &unused);
	} else {
		if (!message)
			message = json_text_at(root, "Message");
		if (!code)
			code = json_text_at(root, "code"); /* EKS Pod Identity's agent */
	}
	if (code)
		copy_code(out_error->code, code);
	if (message)
		copy_line(out_error->message, sizeof(out_error->message), message);
}

static enum meaning meaning_of(const struct aws_error *error)
{
	static const char ending[] = "Exception";
	const char *found = strstr(error->code, ending);
	size_t size = strlen(error->code);

	if (found && !found[sizeof(ending) - 1])
		size = (size_t)(found - error->code);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		enum meaning meaning = codes[i].meaning;

		if (strlen(codes[i].code) != size || memcmp(codes[i].code, error->code, size) != 0)
			continue;
		/* One code, three reasons. */
		if (meaning == MEANS_SIGNATURE && (strstr(error->message, "Signature expired") ||
		                                   strstr(error->message, "not yet current")))
			return MEANS_CLOCK;
		if (meaning == MEANS_SIGNATURE && strstr(error->message, "valid region"))
			return MEANS_REGION;
		return meaning;
	}
	return MEANS_OTHER;
}

static int fill_clock(const struct aws_error *error, const struct aws_question *question,
                      int64_t skew_s, struct err *err)
{
	int64_t minutes = (llabs(skew_s) + 30) / 60;

	if (minutes)
		(void)err_set(
			err, ERR_AUTH,
			"%s: %s refuses the request's time (%s): this machine's clock is %" PRId64
			" minutes %s that of AWS; set it right (NTP)",
			question->action, question->who, error->code, minutes,
			skew_s > 0 ? "behind" : "ahead of");
	else
		(void)err_set(err, ERR_AUTH,
		              "%s: %s refuses the request's time (%s: %s): compare this machine's "
		              "clock with another's",
		              question->action, question->who, error->code, error->message);
	return err_cause(err, OCI_CAUSE_AWS_CLOCK);
}

bool aws_error_right(const char *text, char out_right[static AWS_RIGHT_SIZE])
{
	static const char phrase[] = "not authorized to perform: ";
	const char *found = strstr(text, phrase);
	size_t size;

	if (!found)
		return false;
	found += sizeof(phrase) - 1;
	size = strspn(found, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-:");
	if (!size || size >= AWS_RIGHT_SIZE || !memchr(found, ':', size))
		return false;
	memcpy(out_right, found, size);
	out_right[size] = '\0';
	return true;
}

static int fill_denied(const struct aws_error *error, const struct aws_question *question,
                       struct err *err)
{
	char right[AWS_RIGHT_SIZE];

	if (question->role) {
		(void)err_set(
			err, ERR_AUTH,
			"%s: the role %.160s can't be assumed: %s: %s; check the role's trust "
			"policy and the right %s",
			question->who, question->role, error->code, error->message,
			question->action);
		return err_cause(err, OCI_CAUSE_AWS_ROLE_REFUSED);
	}
	/* Public ECR wants two of them for one action. */
	if (!aws_error_right(error->message, right))
		(void)snprintf(right, sizeof(right), "%s", question->action);
	(void)err_set(err, ERR_AUTH,
	              "%s: the right %s is missing from the policy behind the keys of %s: %s: %s",
	              question->who, right, question->source ? question->source : "the caller",
	              error->code, error->message);
	return err_cause(err, OCI_CAUSE_AWS_RIGHT_MISSING);
}

static int fill_other(const struct aws_error *error, long status,
                      const struct aws_question *question, struct err *err)
{
	bool passing = status == 408 || status == 429 || status >= 500;
	bool denied = status == 401 || status == 403;

	(void)err_set(err,
	              passing  ? ERR_NETWORK
	              : denied ? ERR_AUTH
	                       : ERR_FORMAT,
	              "%s: %ld from %s: %s%s%s", question->action, status, question->who,
	              error->code[0] ? error->code : "unexpected answer",
	              error->message[0] ? ": " : "", error->message);
	return err_cause(err, status == 429 ? OCI_CAUSE_RATE_LIMITED
	                      : passing     ? OCI_CAUSE_SERVER_FAILED
	                                    : OCI_CAUSE_NONE);
}

int aws_error_fill(const struct aws_error *error, long status, const struct aws_question *question,
                   int64_t skew_s, struct err *err)
{
	const char *source = question->source ? question->source : "the caller";

	switch (meaning_of(error)) {
	case MEANS_KEY_UNKNOWN:
		(void)err_set(
			err, ERR_AUTH,
			"%s: %s doesn't know the access key of %s (%s): check that it exists, "
			"is active, and of this partition of AWS",
			question->action, question->who, source, error->code);
		return err_cause(err, OCI_CAUSE_AWS_KEY_UNKNOWN);
	case MEANS_SIGNATURE:
		(void)err_set(err, ERR_AUTH,
		              "%s: %s: the secret key of %s does not fit its access key (%s)",
		              question->action, question->who, source, error->code);
		return err_cause(err, OCI_CAUSE_AWS_SIGNATURE);
	case MEANS_CLOCK:
		return fill_clock(error, question, skew_s, err);
	case MEANS_EXPIRED:
		(void)err_set(err, ERR_AUTH,
		              "%s: %s: the temporary credentials of %s have ended (%s)",
		              question->action, question->who, source, error->code);
		return err_cause(err, OCI_CAUSE_AWS_EXPIRED);
	case MEANS_ROLE:
	case MEANS_DENIED:
		return fill_denied(error, question, err);
	case MEANS_REGION:
		(void)err_set(err, ERR_AUTH, "%s: %s: the region is not the right one: %s: %s",
		              question->action, question->who, error->code, error->message);
		return err_cause(err, OCI_CAUSE_AWS_REGION);
	case MEANS_THROTTLED:
		(void)err_set(err, ERR_NETWORK, "%s: %s: asked too often: %s: %s", question->action,
		              question->who, error->code, error->message);
		return err_cause(err, OCI_CAUSE_RATE_LIMITED);
	case MEANS_OTHER:
		break;
	}
	return fill_other(error, status, question, err);
}
