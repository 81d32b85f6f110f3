/*
 * The store's folder: its parts, its lock, its format, its temporary files.
 *
 *	format  lock  objects/  releases/  tmp/
 */
#ifndef SPECMAN_STORAGE_LAYOUT_H
#define SPECMAN_STORAGE_LAYOUT_H

#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

struct layout {
	int root; /* descriptors of the folders */
	int objects;
	int releases;
	int tmp;
	int lock;
};

enum {
	LAYOUT_OBJECT_SIZE = 2 + 1 + 62 + 1, /* "ab/cdef…" and NUL */
	LAYOUT_TMP_SIZE = 40,
};

/*
 * Open (and make) the folder, lock it, check its format, empty tmp/. Errors:
 * ERR_CONFIG for a lock held by another (names its process) and for a format
 * that this version does not know; else ERR_IO. layout_close is for success only.
 */
MUST_CHECK int layout_open(const char *dir, struct layout *out_layout, struct err *err);

/*
 * Open a store that is there to read it: no lock, nothing made or emptied.
 * ERR_NOT_FOUND where no store is; else as layout_open.
 */
MUST_CHECK int layout_open_reader(const char *dir, struct layout *out_layout, struct err *err);
void layout_close(struct layout *layout);

/* The name of an object in objects/. Returns name. */
char *layout_object_name(const struct digest *digest, char name[static LAYOUT_OBJECT_SIZE]);

/* Create a file in tmp/ for writing and reading; its name is unique in this process' life. */
MUST_CHECK int layout_tmp_create(const struct layout *layout, char out_name[static LAYOUT_TMP_SIZE],
                                 struct err *err);

/* Bytes that an unprivileged process can still write. */
MUST_CHECK int layout_free_bytes(const struct layout *layout, uint64_t *out_bytes, struct err *err);

#endif
