/* Sweeping objects/ of what nothing names. */
#ifndef SPECMAN_STORAGE_GC_H
#define SPECMAN_STORAGE_GC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "digest_set.h"

/*
 * Remove each object below the folder `objects` (or what blocks/ has of it) that is
 * not in marked, and count them. Names that are no objects (lost+found, .nfs*) are
 * left alone. What can't be listed or removed is passed over and stays for the next
 * sweep: ERR_IO tells of the first such. *out_swept is set in any case.
 *
 * met is NULL, or has an element for each of marked->count: it becomes true where
 * the object of that place was met.
 */
MUST_CHECK int gc_sweep(int objects, const struct digest_set *marked, bool *met,
                        uint64_t *out_swept, struct err *err);

/* Count the objects that are not in marked. */
MUST_CHECK int gc_count(int objects, const struct digest_set *marked, uint64_t *out_count,
                        struct err *err);

#endif
