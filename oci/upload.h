/*
 * One blob on its way into a registry (distribution-spec 1.1, "Pushing blobs").
 *
 * Up to LIMIT_WHOLE_BYTES it goes in one request (POST, then PUT), and after a
 * failure from the start; what is larger goes in chunks (POST, PATCH…, PUT), and
 * goes on where the registry says that it has stopped. A session that the
 * registry has forgotten is replaced by a new one. Some registries find what another
 * of their repositories has, and mount it ("Mounting a blob from another repository",
 * without `from`); others begin an upload as ever.
 *
 *	struct upload upload;
 *	upload_init(&upload, remote, &blob, fd);
 *	while (upload_try(&upload, &err) && … may help …) … pause …;
 *	upload_release(&upload);
 *
 * Kept true: what a registry says of its progress is believed only within what
 * was sent; credentials go to the registry's own host, whatever a Location says.
 */
#ifndef SPECMAN_OCI_UPLOAD_H
#define SPECMAN_OCI_UPLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/oci.h"
#include "oci/remote.h"

struct upload {
	struct remote *remote;
	const struct oci_descriptor *blob;
	int fd;                           /* the bytes of the blob, from 0 on */
	int64_t whole_bytes, chunk_bytes; /* LIMIT_WHOLE_BYTES and LIMIT_CHUNK_BYTES */
	bool may_mount; /* ask first whether the registry has it in another repository */
	void (*progress)(void *ctx, int64_t bytes); /* on their way, of the blob's; or NULL */
	void *ctx;

	bool is_mounted; /* it had, and nothing was sent */

	/* The session. */
	char *location;  /* where to go on, or NULL: there is none */
	bool is_foreign; /* on another host than the registry's */
	bool in_doubt;   /* a request has failed: the registry has to say what it has */
	bool in_one;     /* it takes no chunks */
	int64_t offset;  /* what the registry has */
	int64_t base;    /* where the request under way begins */
};

/* remote and blob are borrowed until upload_release; fd stays the caller's. */
void upload_init(struct upload *upload, struct remote *remote, const struct oci_descriptor *blob,
                 int fd);
void upload_release(struct upload *upload);

/*
 * Send what is missing, and commit. After ERR_NETWORK another call goes on; what
 * was committed in spite of a failure is the caller's to find out. Errors: those
 * of refusal_of_push, and ERR_FORMAT for answers that can't be followed.
 */
MUST_CHECK int upload_try(struct upload *upload, struct err *err);

/*
 * The end of "0-1023" (also "bytes=0-1023") as a count of bytes: 1024. "0-0" is
 * none: registries say so of a session without bytes. -1 for anything else.
 */
int64_t upload_range_end(const char *range);

#endif
