/*
 * What a registry has beside a manifest: a tag that is made of its digest, and the
 * index of its referrers (distribution-spec 1.1, "Listing Referrers").
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "oci/manifest.h"
#include "oci/remote.h"

int remote_named(void *self, const char *tag, struct buf *body, struct err *err)
{
	struct remote *remote = self;
	CLEANUP(cleanup_free) char *url = remote_url(remote, "manifests", tag, err);
	CLEANUP(exchange_release) struct exchange exchange = { .url = NULL };

	return url ? remote_get(remote, url, MANIFEST_ACCEPT, &exchange, body, err) : -1;
}

/* "404 Not Found" is what the specification has for it; older registries have more answers. */
static bool is_unknown(long status)
{
	return status == 400 || status == 404 || status == 405 || status == 406 || status == 501;
}

int remote_referrers(void *self, const struct digest *manifest, char **inout_next, struct buf *body,
                     struct err *err)
{
	static const char accept[] = "application/vnd.oci.image.index.v1+json";
	struct remote *remote = self;
	char text[DIGEST_TEXT_SIZE];
	CLEANUP(cleanup_free)
	char *url = *inout_next
	                    ? STEAL(*inout_next)
	                    : remote_url(remote, "referrers", digest_format(manifest, text), err);
	CLEANUP(exchange_release) struct exchange exchange = { .url = NULL };
	bool failed = false;

	if (!url)
		return -1;
	if (remote_get(remote, url, accept, &exchange, body, err)) {
		if (!exchange.failed && !exchange.foreign && is_unknown(exchange.status))
			err->kind = ERR_NOT_FOUND;
		return -1;
	}
	*inout_next = remote_next_page(&exchange, &failed, err);
	return failed ? -1 : 0;
}
