/*
 * Objects: one file's content each, named by its SHA-256. Written to tmp/,
 * then renamed; durable once the caller has called syncfs.
 *
 * Which objects may be shared? A file whose content is there already is not
 * written again, and only its name and size are looked at. That is safe where
 * the object is durable, or will be by the syncfs that comes before the release
 * is committed. It is not safe where
 *
 *	- a power loss came between the rename of an object and the syncfs: it may
 *	  have its size and zeros in place of its content;
 *	- a syncfs failed: the kernel tells of a page that it could not write once,
 *	  and takes it for clean from then on. The next syncfs succeeds, and the
 *	  content is right as long as it is in memory.
 *
 * Either way no release that was ever committed names the object, but for one
 * that was written anew because it was damaged, and its release is known as
 * damaged until that has become durable. So layout->trusts_objects says that a
 * sweep has removed every object that neither a committed release names nor a
 * view that is held from the time when one did, and that nothing has failed
 * since. The first sweep is the caller's, before it publishes anything: what is
 * there at the start may be what a power loss left. After a failed syncfs it
 * stays false until the process ends. Where it is false each object is written
 * anew and takes the place of the one that is there, which costs time and
 * nothing else.
 */
#ifndef SPECMAN_STORAGE_OBJECT_H
#define SPECMAN_STORAGE_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "layout.h"

struct object_writer;

/* A writer for one object after the other. layout must outlive it. */
MUST_CHECK struct object_writer *object_writer_new(const struct layout *layout, struct err *err);
void object_writer_free(struct object_writer *writer);

/* ERR_NO_SPACE, with numbers, before the reserve is touched. */
MUST_CHECK int object_writer_add(struct object_writer *writer, const void *bytes, size_t size,
                                 struct err *err);

/*
 * End the object: its digest and size. It is in objects/ then (written nowhere
 * when one can be shared). The writer is ready for the next one, also after an error.
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
 * The same without keeping it. hashes gets those of its blocks (blocks.h), unless
 * it is NULL.
 */
MUST_CHECK int object_verify(int fd, const struct digest *digest, uint64_t size, struct buf *hashes,
                             struct err *err);

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
 *
 * What was written in its place since it was found wrong is not meant, and put
 * back: then it returns false. fd is the open object that was found wrong; or
 * -1, when none was there, or one that is no file of this size (OBJECT_ANY_SIZE:
 * whatever is there is meant).
 */
bool object_put_aside(const struct layout *layout, const struct digest *digest, uint64_t size,
                      int fd);

#define OBJECT_ANY_SIZE UINT64_MAX

/* Remove what quarantine/ holds under this name. */
void object_forget_aside(const struct layout *layout, const char *name);

#endif
