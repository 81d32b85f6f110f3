/*
 * One blob on its way into a sink: how much of it is there, and what that
 * hashes to so far. A source that breaks off leaves it as it is, and the same
 * or another source goes on behind the last byte; the verdict is about all of
 * them.
 */
#ifndef SPECMAN_OCI_PULL_H
#define SPECMAN_OCI_PULL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/digest.h"
#include "base/err.h"
#include "oci/oci.h"

struct pull {
	const struct oci_descriptor *blob;
	const struct oci_sink *sink;
	struct hasher *hasher;
	int64_t received; /* bytes that the sink has */
	bool sink_failed; /* it was the sink, not the source, that ended it */
};

/*
 * Both are borrowed until pull_release, also after an error. What the sink holds
 * from an earlier transfer is hashed and counts; what can't be read of it, or is
 * too long, is taken back. ERR_CANCELLED leaves it as it is; cancel may be NULL.
 */
MUST_CHECK int pull_init(struct pull *pull, const struct oci_descriptor *blob,
                         const struct oci_sink *sink, const struct cancel *cancel, struct err *err);
void pull_release(struct pull *pull);

/* Whether all bytes are there, so that no source need be asked; an empty blob is asked for. */
bool pull_is_full(const struct pull *pull);

/* Take the next bytes. ERR_DIGEST past the descriptor's size, or what the sink reports. */
MUST_CHECK int pull_write(struct pull *pull, const void *bytes, size_t size, struct err *err);

/* Forget all bytes, here and in the sink. */
MUST_CHECK int pull_restart(struct pull *pull, struct err *err);

/* All bytes are there: ERR_DIGEST when they are not the descriptor's. Once only, then restart. */
MUST_CHECK int pull_end(struct pull *pull, struct err *err);

#endif
