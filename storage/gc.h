/* Sweeping objects/ of what nothing names. */
#ifndef SPECMAN_STORAGE_GC_H
#define SPECMAN_STORAGE_GC_H

#include <stdint.h>

#include "base/err.h"
#include "digest_set.h"

/*
 * Remove each object below the folder `objects` (or what blocks/ has of it) that is not in marked,
 * and count them. Names that are no objects (lost+found, .nfs*) are left alone; an object that is
 * busy stays for the next sweep. ERR_IO when a folder can't be listed.
 */
MUST_CHECK int gc_sweep(int objects, const struct digest_set *marked, uint64_t *out_swept,
                        struct err *err);

#endif
