/* Sweeping objects/ of what nothing names. */
#ifndef SPECMAN_STORAGE_GC_H
#define SPECMAN_STORAGE_GC_H

#include <stdint.h>

#include "base/err.h"
#include "digest_set.h"
#include "layout.h"

/*
 * Remove each object that is not in marked, and count them. Those that are
 * there are taken out of marked: what is left in it is missing. Names that are
 * no objects (lost+found, .nfs*) are left alone; an object that is busy stays
 * for the next sweep. ERR_IO when a folder can't be listed.
 */
MUST_CHECK int gc_sweep(const struct layout *layout, struct digest_set *marked, uint64_t *out_swept,
                        struct err *err);

/* Count the objects that are not in marked. */
MUST_CHECK int gc_count(const struct layout *layout, struct digest_set *marked, uint64_t *out_count,
                        struct err *err);

#endif
