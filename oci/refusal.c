/* What a registry has against a push; see refusal.h. */
#include "oci/refusal.h"

#include <string.h>

static const char *const full[] = {
	"quota",                             /* Harbor, Quay, Artifactory */
	"exceed the configured upper limit", /* Harbor's quota on storage */
	"no space left on device",           /* strerror(ENOSPC) */
	"\"Err\":28",                        /* distribution's detail: ENOSPC as a number */
	"insufficient storage",
};

static const char *const immutable[] = {
	"immutable",             /* Harbor, ECR, Artifact Registry */
	"ImageTagAlreadyExists", /* ECR's API */
	"cannot be overwritten",
};

static bool says_any(const struct exchange *exchange, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (exchange->body.data && strcasestr(exchange->body.data, words[i]))
			return true;
	return false;
}

#define SAYS(exchange, words) says_any(exchange, words, sizeof(words) / sizeof((words)[0]))

int refusal_explain(const struct exchange *exchange, struct err *err)
{
	if (exchange->status == 507 || SAYS(exchange, full)) {
		err->kind = ERR_NO_SPACE;
		return err_cause(err, OCI_CAUSE_PUSH_FULL);
	}
	if (SAYS(exchange, immutable)) {
		err->kind = ERR_AUTH;
		return err_cause(err, OCI_CAUSE_PUSH_IMMUTABLE);
	}
	if (exchange->status == 413)
		return err_cause(err, OCI_CAUSE_PUSH_TOO_LARGE);
	if (exchange->foreign)
		return -1;
	if (err->cause == OCI_CAUSE_NO_RIGHT || err->cause == OCI_CAUSE_TOKEN_POWERLESS)
		return err_cause(err, OCI_CAUSE_PUSH_NO_RIGHT);
	if (exchange->status == 404 && err->cause != OCI_CAUSE_NOT_A_REGISTRY)
		return err_cause(err, OCI_CAUSE_PUSH_NO_REPOSITORY);
	return -1;
}

int refusal_of_push(const struct remote *remote, const struct exchange *exchange, struct err *err)
{
	(void)remote_refuse(remote, exchange, err);
	return refusal_explain(exchange, err);
}
