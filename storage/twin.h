/*
 * Compressed twins: the gzip form of a text, kept beside it so that most
 * answers cost a tenth of the bytes and no time for packing.
 */
#ifndef SPECMAN_STORAGE_TWIN_H
#define SPECMAN_STORAGE_TWIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "object.h"

enum {
	/* A smaller answer fits a packet or two: nothing is won. */
	TWIN_BYTES_MIN = 1024,
	/* What a worker holds in memory at once; texts of manifests are far below. */
	TWIN_BYTES_MAX = 16 * 1024 * 1024,
};

/*
 * Whether content is a text of a size that gets a twin: UTF-8 without control
 * characters but tab, line feed, form feed and carriage return. Packed formats
 * never pass, whatever their name is.
 */
bool twin_is_wanted(const void *bytes, size_t size);

/* Packs one text after the other. One thread at a time. */
struct twin_maker;

MUST_CHECK struct twin_maker *twin_maker_new(struct err *err);
void twin_maker_free(struct twin_maker *maker);

/*
 * Write the gzip form (RFC 1952) of a text as an object, unless that saves
 * less than a tenth: *out_size is 0 then. The same text gives the same bytes
 * on each replica: no name, no time, no system.
 */
MUST_CHECK int twin_make(struct twin_maker *maker, struct object_writer *writer, const void *bytes,
                         size_t size, struct digest *out_digest, uint64_t *out_size,
                         struct err *err);

#endif
