/*
 * A place to get a repository from: a registry (remote.h) or a folder on disk
 * (layout.h). Sources answer what they are asked; client.c chooses among them,
 * retries, and verifies: no answer of a source is believed.
 */
#ifndef SPECMAN_OCI_SOURCE_H
#define SPECMAN_OCI_SOURCE_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "oci/oci.h"
#include "oci/pull.h"

/*
 * self is the source's own. Errors are those of the functions of oci.h. After
 * an ERR_NETWORK the same question may be asked again.
 */
struct source_ops {
	/* As oci_tags: a whole list, or an error. */
	int (*tags)(void *self, struct oci_tags *out_tags, struct err *err);

	/* As oci_resolve: all places are filled. */
	void (*resolve)(void *self, char *const *tags, size_t count,
	                struct oci_resolved *out_resolved);

	/*
	 * Put the bytes of the manifest with this digest into body, which is empty
	 * and bounded. *out_type becomes its Content-Type, a heap string, or NULL.
	 */
	int (*manifest)(void *self, const struct digest *digest, struct buf *body, char **out_type,
	                struct err *err);

	/*
	 * The bytes of the manifest that a tag names now, whatever they are; body as above.
	 * ERR_NOT_FOUND: it names none.
	 */
	int (*named)(void *self, const char *tag, struct buf *body, struct err *err);

	/*
	 * A page of the index of what refers to a manifest (distribution-spec 1.1, "Listing
	 * Referrers"), as bytes. *inout_next is NULL for the first page, and becomes a heap
	 * string that stands for the next, or NULL. ERR_NOT_FOUND: the source does not know
	 * the question. NULL: it never does.
	 */
	int (*referrers)(void *self, const struct digest *manifest, char **inout_next,
	                 struct buf *body, struct err *err);

	/*
	 * Feed the bytes of pull->blob behind pull->received to pull_write. 0: the
	 * source has no more of them.
	 */
	int (*blob)(void *self, struct pull *pull, struct err *err);

	/* Until when (clock_now_ms()) the source wants no question; NULL: it never says. */
	int64_t (*not_before_ms)(const void *self);

	void (*free)(void *self);
};

struct source {
	const struct source_ops *ops;
	void *self;
};

#endif
