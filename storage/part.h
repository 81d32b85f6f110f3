/*
 * A folder that is filled beside its place and takes it once it is whole. Whoever
 * fills it has it locked: what a killed process left behind is not, and goes when the
 * next one comes to the same place.
 */
#ifndef SPECMAN_STORAGE_PART_H
#define SPECMAN_STORAGE_PART_H

#include <limits.h>
#include <stddef.h>

#include "base/err.h"

struct part {
	char path[PATH_MAX];
	int fd; /* the folder, locked; the owner closes it */
};

/*
 * Make the folder "PATH.specman-part-XXXXXX" for the first `length` bytes of path,
 * with mode 0700, and remove those of that name (of this user) that nobody has locked.
 */
MUST_CHECK int part_make(const char *path, size_t length, struct part *out_part, struct err *err);

#endif
