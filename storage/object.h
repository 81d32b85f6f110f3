/*
 * Objects: one file's content each, named by its SHA-256. Written to tmp/,
 * then renamed; durable once the caller has called syncfs.
 */
#ifndef SPECMAN_STORAGE_OBJECT_H
#define SPECMAN_STORAGE_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "layout.h"

struct object_writer;

/* A writer for one object after the other. layout must outlive it. */
MUST_CHECK struct object_writer *object_writer_new(const struct layout *layout, struct err *err);
void object_writer_free(struct object_writer *writer);

MUST_CHECK int object_writer_add(struct object_writer *writer, const void *bytes, size_t size,
                                 struct err *err);

/*
 * End the object: its digest and size. It is in objects/ then (written nowhere
 * when it was there with this size). The writer is ready for the next one.
 */
MUST_CHECK int object_writer_end(struct object_writer *writer, struct digest *out_digest,
                                 uint64_t *out_size, struct err *err);

/* The same for content that is in memory as a whole; nothing else may have been added. */
MUST_CHECK int object_writer_put(struct object_writer *writer, const void *bytes, size_t size,
                                 struct digest *out_digest, struct err *err);

/* Throw away what was added since the last object. */
void object_writer_reset(struct object_writer *writer);

/* Whether the object is there and has this size. Reads no content. */
bool object_is_there(const struct layout *layout, const struct digest *digest, uint64_t size);

/*
 * Open for reading, once type and size are right. ERR_NOT_FOUND when it is not
 * there, ERR_DIGEST when it is no file or of another size, else ERR_IO.
 */
MUST_CHECK int object_open(const struct layout *layout, const struct digest *digest, uint64_t size,
                           struct err *err);

/* Read an open object as a whole and compare its hash. ERR_DIGEST or ERR_IO. */
MUST_CHECK int object_read(int fd, const struct digest *digest, uint64_t size,
                           unsigned char *out_bytes, struct err *err);

/*
 * Whether an error of opening or reading says that the object is missing or
 * damaged; else it is the process that lacks memory or descriptors.
 */
bool object_is_at_fault(const struct err *err);

/* Whether what was opened still stands under the object's name: it may have been written anew. */
bool object_is_same(const struct layout *layout, const struct digest *digest, int fd);

/*
 * Move a damaged object into quarantine/. It may yet be of use: read by an
 * operator whose registry is gone, or put back when a later look finds it whole.
 */
void object_put_aside(const struct layout *layout, const struct digest *digest);

/* Remove what quarantine/ holds under this name. */
void object_forget_aside(const struct layout *layout, const char *name);

#endif
