/*
 * Pushing an artifact (see oci.h): its blobs, then its manifest, which is what
 * makes it visible; then the proof that a client gets it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "oci/artifact.h"
#include "oci/limits.h"
#include "oci/oci.h"
#include "oci/refusal.h"
#include "oci/remote.h"
#include "oci/retry.h"
#include "oci/signature.h"
#include "oci/signer.h"
#include "oci/upload.h"

DEFINE_CLEANUP(cleanup_client, struct oci_client, oci_client_free);

struct pushing {
	const struct oci_settings *settings;
	const struct oci_push *push;
	const struct oci_push_observer *observer;
	const struct cancel *cancel;
	struct remote *remote;
	unsigned retries, pauses;
	char name[OCI_HOST_SIZE + OCI_NAME_SIZE];
};

/* ---- asking again ---- */

static int pause_for(struct pushing *p, const char *subject, struct err *failure)
{
	const struct oci_observer *observer = &p->observer->observer;
	int64_t least_ms = remote_not_before_ms(p->remote) - clock_now_ms();
	int64_t pause_ms;

	if (!retry_may_help(failure) || p->pauses >= p->retries || least_ms > LIMIT_RETRY_WAIT_MS)
		return -1;
	pause_ms = retry_pause_ms(p->pauses++, least_ms > 0 ? least_ms : 0);
	if (observer->notice)
		observer->notice(observer->ctx, OCI_NOTICE_RETRY, p->name, subject, failure->msg,
		                 pause_ms);
	return retry_wait(p->cancel, pause_ms, failure);
}

typedef int attempt(struct pushing *p, void *ctx, struct err *err);

static int keep_trying(struct pushing *p, attempt *try, void *ctx, const char *subject,
                       struct err *err)
{
	while (try(p, ctx, err)) {
		if (pause_for(p, subject, err))
			return err_context(err, "%s", subject);
	}
	p->pauses = 0;
	return 0;
}

/* ---- blobs ---- */

struct blob {
	const struct oci_descriptor *descriptor;
	struct upload upload;
	int64_t furthest; /* of the upload, at the last failure that came behind progress */
	bool was_tried, was_there;
};

/*
 * 1: the registry has the blob; 0: it has not; -1. A redirect to a storage is
 * given for what is there alone, and need not be good for a HEAD.
 */
static int has_blob(struct pushing *p, const struct oci_descriptor *blob, struct err *err)
{
	char text[DIGEST_TEXT_SIZE];
	CLEANUP(cleanup_free)
	char *url = remote_url(p->remote, "blobs", digest_format(&blob->digest, text), err);
	CLEANUP(exchange_release)
	struct exchange exchange = { .method = EXCHANGE_HEAD,
		                     .url = url,
		                     .size = EXCHANGE_ANY_SIZE,
		                     .max_bytes = LIMIT_ERROR_BYTES };
	const char *length;

	if (!url || remote_ask(p->remote, &exchange, err))
		return -1;
	if (exchange.status == 404)
		return 0;
	if (exchange.status >= 300 && exchange.status < 400)
		return 1;
	if (exchange.status != 200)
		return remote_refuse(p->remote, &exchange, err);
	length = exchange_header(&exchange, "Content-Length", 0);
	if (length && strtoll(length, NULL, 10) != blob->size)
		return err_set(err, ERR_DIGEST,
		               "the registry has it with %.20s bytes instead of %" PRId64, length,
		               blob->size);
	return 1;
}

static int try_blob(struct pushing *p, void *ctx, struct err *err)
{
	struct blob *blob = ctx;
	int there = has_blob(p, blob->descriptor, err);

	/* An answer to HEAD can't say which right is missing; that to POST will. */
	if (there < 0 && err->cause == (int)OCI_CAUSE_NO_RIGHT)
		there = 0;
	if (there > 0)
		blob->was_there = !blob->was_tried;
	if (there)
		return there > 0 ? 0 : -1;
	blob->was_tried = true;
	if (!upload_try(&blob->upload, err))
		return 0;
	if (blob->upload.offset - blob->furthest >= LIMIT_PROGRESS_BYTES) {
		blob->furthest = blob->upload.offset;
		p->pauses = 0;
	}
	return -1;
}

static int put_blob(struct pushing *p, const char *what, const struct oci_descriptor *descriptor,
                    int fd, bool *out_was_there, struct err *err)
{
	struct blob blob = { .descriptor = descriptor };
	char digest[DIGEST_TEXT_SIZE], subject[DIGEST_TEXT_SIZE + 32];
	int failed;

	(void)snprintf(subject, sizeof(subject), "%s %s", what,
	               digest_format(&descriptor->digest, digest));
	upload_init(&blob.upload, p->remote, descriptor, fd);
	if (descriptor == &p->push->layer) {
		blob.upload.may_mount = true;
		blob.upload.progress = p->observer->progress;
		blob.upload.ctx = p->observer->ctx;
	}
	failed = keep_trying(p, try_blob, &blob, subject, err);
	upload_release(&blob.upload);
	*out_was_there = blob.was_there || blob.upload.is_mounted;
	return failed;
}

/* A small one, from memory. */
static int put_text(struct pushing *p, const char *what, const char *text, size_t size,
                    struct err *err)
{
	CLEANUP(cleanup_fd) int fd = memfd_create("blob", MFD_CLOEXEC);
	struct oci_descriptor blob = { .size = (int64_t)size };
	bool unused;

	if (fd < 0)
		return err_set_sys(err, errno, "make the %s", what);
	if (io_write_all(fd, text, size, what, err) ||
	    digest_of(DIGEST_SHA256, text, size, &blob.digest, err))
		return -1;
	return put_blob(p, what, &blob, fd, &unused, err);
}

/* ---- the manifest ---- */

struct manifest_attempt {
	const char *tag;
	const char *text;
	struct digest digest;
};

static int try_manifest(struct pushing *p, void *ctx, struct err *err)
{
	const struct manifest_attempt *manifest = ctx;
	CLEANUP(cleanup_free) char *url = remote_url(p->remote, "manifests", manifest->tag, err);
	CLEANUP(exchange_release)
	struct exchange exchange = { .method = EXCHANGE_PUT,
		                     .url = url,
		                     .form = manifest->text,
		                     .content_type = ARTIFACT_TYPE,
		                     .size = EXCHANGE_ANY_SIZE,
		                     .max_bytes = LIMIT_ERROR_BYTES };

	if (!url || remote_ask(p->remote, &exchange, err))
		return -1;
	if (exchange.status != 201 && exchange.status != 200)
		return refusal_of_push(p->remote, &exchange, err);
	return remote_check_digest_header(&exchange, &manifest->digest, err);
}

static int put_manifest(struct pushing *p, const char *what, const char *tag,
                        const struct buf *text, struct err *err)
{
	struct manifest_attempt manifest = { .tag = tag, .text = text->data };

	if (digest_of(DIGEST_SHA256, text->data, text->size, &manifest.digest, err))
		return -1;
	return keep_trying(p, try_manifest, &manifest, what, err);
}

/* Under the tag that is made of the manifest's digest. */
static int put_signature(struct pushing *p, const struct digest *of, struct err *err)
{
	CLEANUP(buf_release)
	struct buf payload = BUF_INIT(4096), config = BUF_INIT(4096), text = BUF_INIT(8192);
	const struct signer_parts parts = { &payload, &config, &text };
	char tag[SIGNATURE_TAG_SIZE];

	(void)signature_tag(of, ".sig", tag);
	if (signer_make(p->push->signer, p->name, of, &parts, err) ||
	    put_text(p, "signature", payload.data, payload.size, err) ||
	    put_text(p, "configuration of the signature", config.data, config.size, err))
		return -1;
	return put_manifest(p, "manifest of the signature", tag, &text, err);
}

static int put_artifact(struct pushing *p, struct digest *out_digest, struct err *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);

	if (artifact_manifest(&text, &p->push->layer, p->push->created_s, err) ||
	    digest_of(DIGEST_SHA256, text.data, text.size, out_digest, err))
		return -1;
	/* First, so that nobody meets the tag without it. */
	if (p->push->signer && put_signature(p, out_digest, err))
		return -1;
	return put_manifest(p, "manifest", p->push->tag, &text, err);
}

/* ---- the proof ---- */

static int drop_bytes(void *ctx, const void *bytes, size_t size, struct err *err)
{
	(void)ctx;
	(void)bytes;
	(void)size;
	(void)err;
	return 0;
}

static int drop_all(void *ctx, struct err *err)
{
	(void)ctx;
	(void)err;
	return 0;
}

static int compare_tag(struct oci_client *client, const struct oci_push *push,
                       const struct digest *manifest, struct err *err)
{
	char tag[OCI_TAG_SIZE];
	char *names[] = { tag };
	char text[DIGEST_TEXT_SIZE];
	struct oci_resolved resolved;

	(void)snprintf(tag, sizeof(tag), "%s", push->tag);
	oci_resolve(client, names, 1, &resolved);
	if (resolved.failed) {
		*err = resolved.err;
		return -1;
	}
	if (digest_equal(&resolved.digest, manifest))
		return 0;
	return err_set(err, ERR_DIGEST,
	               "the tag names %s: somebody else has moved it, or a cache answers",
	               digest_format(&resolved.digest, text));
}

static int compare_signature(struct oci_client *client, const struct oci_push *push,
                             const struct digest *manifest, struct err *err)
{
	CLEANUP(buf_release) struct buf proof = BUF_INIT(OCI_PROOF_BYTES);
	size_t key;

	return push->signer ? oci_signature(client, manifest, signer_keys(push->signer), &proof,
	                                    &key, err)
	                    : 0;
}

/* With a client of its own, which knows nothing of what was sent and asks for no right to push. */
static int read_back(struct pushing *p, struct oci_pushed *pushed, struct err *err)
{
	static const struct oci_sink nowhere = { .write = drop_bytes, .restart = drop_all };
	const struct oci_descriptor *layer = &p->push->layer;
	struct oci_settings settings = *p->settings;
	CLEANUP(cleanup_client) struct oci_client *client = NULL;
	struct oci_artifact artifact;
	int there;

	settings.is_pushed_to = false;
	client = oci_client_new(&settings, 1, &p->observer->observer, p->cancel, err);
	if (!client)
		return -1;
	oci_client_set_retries(client, p->retries);
	if (compare_tag(client, p->push, &pushed->manifest, err) ||
	    compare_signature(client, p->push, &pushed->manifest, err) ||
	    oci_manifest(client, p->push->tag, &pushed->manifest, &artifact, err))
		return -1;
	if (!digest_equal(&artifact.layer.digest, &layer->digest) ||
	    artifact.layer.size != layer->size)
		return err_set(err, ERR_DIGEST, "the manifest names another layer");
	pushed->is_read_back = layer->size <= LIMIT_READ_BACK_BYTES;
	if (pushed->is_read_back)
		return oci_blob(client, layer, &nowhere, err);
	there = has_blob(p, layer, err);
	return there ? (there > 0 ? 0 : -1) : err_set(err, ERR_NOT_FOUND, "the layer is not there");
}

static int push_all(struct pushing *p, struct oci_pushed *pushed, struct err *err)
{
	static const char config[] = ARTIFACT_CONFIG;

	if (put_text(p, "configuration", config, sizeof(config) - 1, err) ||
	    put_blob(p, "layer", &p->push->layer, p->push->fd, &pushed->layer_was_there, err) ||
	    put_artifact(p, &pushed->manifest, err))
		return -1;
	return read_back(p, pushed, err) ? err_context(err, "reading back") : 0;
}

int oci_push(const struct oci_settings *settings, const struct oci_push *push,
             const struct oci_push_observer *observer, unsigned retries,
             const struct cancel *cancel, struct oci_pushed *out_pushed, struct err *err)
{
	struct oci_settings pushing_settings = *settings;
	struct pushing p = { .settings = settings,
		             .push = push,
		             .observer = observer,
		             .cancel = cancel,
		             .retries = retries };
	struct oci_pushed pushed = { .is_read_back = false };
	struct source source;
	int failed;

	(void)snprintf(p.name, sizeof(p.name), "%s/%s", settings->reference.host,
	               settings->reference.name);
	if (!oci_tag_is_valid(push->tag))
		return err_set(err, ERR_CONFIG, "\"%.128s\" is no tag", push->tag);
	pushing_settings.is_pushed_to = true;
	if (remote_open(&pushing_settings, cancel, &source, err))
		return err_context(err, "%s", p.name);
	p.remote = source.self;
	failed = push_all(&p, &pushed, err);
	source.ops->free(source.self);
	if (failed)
		return err_context(err, "push %s:%s", p.name, push->tag);
	*out_pushed = pushed;
	return 0;
}
