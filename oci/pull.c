/* Blobs on their way; see pull.h. */
#include "oci/pull.h"

#include <inttypes.h>

void pull_release(struct pull *pull)
{
	hasher_free(pull->hasher);
	pull->hasher = NULL;
}

bool pull_is_full(const struct pull *pull)
{
	return pull->received && pull->received == pull->blob->size;
}

int pull_write(struct pull *pull, const void *bytes, size_t size, struct err *err)
{
	if ((int64_t)size > pull->blob->size - pull->received)
		return err_set(err, ERR_DIGEST,
		               "it has more than the %" PRId64 " bytes of its descriptor",
		               pull->blob->size);
	if (hasher_add(pull->hasher, bytes, size, err) ||
	    pull->sink->write(pull->sink->ctx, bytes, size, err)) {
		pull->sink_failed = true;
		return -1;
	}
	pull->received += (int64_t)size;
	return 0;
}

int pull_restart(struct pull *pull, struct err *err)
{
	struct digest unused;

	/* The end of one content makes the hasher ready for the next. */
	if (hasher_end(pull->hasher, &unused, err) ||
	    (pull->received && pull->sink->restart(pull->sink->ctx, err))) {
		pull->sink_failed = true;
		return -1;
	}
	pull->received = 0;
	return 0;
}

/* Hash what the sink holds from an earlier transfer. */
static int take_held(struct pull *pull, const struct cancel *cancel, struct err *err)
{
	const uint64_t held = pull->sink->held;
	char block[16384];
	uint64_t at = 0;

	pull->received = held <= (uint64_t)pull->blob->size ? (int64_t)held : 0;
	if (held > (uint64_t)pull->blob->size)
		return pull->sink->restart(pull->sink->ctx, err);
	while (at < held) {
		size_t part = held - at < sizeof(block) ? (size_t)(held - at) : sizeof(block);

		if (cancel && cancel_check(cancel, err))
			return -1;
		if (pull->sink->read(pull->sink->ctx, block, part, at, err))
			return pull_restart(pull, err);
		if (hasher_add(pull->hasher, block, part, err))
			return -1;
		at += part;
	}
	return 0;
}

int pull_init(struct pull *pull, const struct oci_descriptor *blob, const struct oci_sink *sink,
              const struct cancel *cancel, struct err *err)
{
	*pull = (struct pull){ .blob = blob, .sink = sink };
	pull->hasher = hasher_new(blob->digest.algorithm, err);
	return pull->hasher ? take_held(pull, cancel, err) : -1;
}

int pull_end(struct pull *pull, struct err *err)
{
	char text[DIGEST_TEXT_SIZE];
	struct digest found;

	if (pull->received != pull->blob->size)
		return err_set(err, ERR_DIGEST,
		               "it has %" PRId64 " bytes instead of the %" PRId64
		               " of its descriptor",
		               pull->received, pull->blob->size);
	if (hasher_end(pull->hasher, &found, err)) {
		pull->sink_failed = true;
		return -1;
	}
	if (!digest_equal(&found, &pull->blob->digest))
		return err_set(err, ERR_DIGEST,
		               "the %" PRId64 " bytes that came have the digest %s",
		               pull->blob->size, digest_format(&found, text));
	return 0;
}
