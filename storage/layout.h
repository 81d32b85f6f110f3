/*
 * The store's folder: its parts, its lock, its format, its temporary files.
 *
 *	format  lock  objects/  blocks/  releases/  quarantine/  tmp/
 */
#ifndef SPECMAN_STORAGE_LAYOUT_H
#define SPECMAN_STORAGE_LAYOUT_H

#include <dirent.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

struct layout {
	int root; /* descriptors of the folders */
	int objects;
	int blocks; /* see blocks.h */
	int releases;
	int quarantine; /* damaged objects, named by their digest's hex digits */
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
void layout_close(struct layout *layout);

/* The name of an object in objects/. Returns name. */
char *layout_object_name(const struct digest *digest, char name[static LAYOUT_OBJECT_SIZE]);

/*
 * Rename `from` in folder from_fd to a digest's name below to_fd (objects or
 * blocks), whose fan-out folder is made on demand.
 */
MUST_CHECK int layout_place(int from_fd, const char *from, int to_fd, const struct digest *digest,
                            struct err *err);

/* Create a file in tmp/ for writing and reading; its name is unique in this process' life. */
MUST_CHECK int layout_tmp_create(const struct layout *layout, char out_name[static LAYOUT_TMP_SIZE],
                                 struct err *err);

/* Open the folder `name` in `at` for readdir. NULL on error. */
MUST_CHECK DIR *layout_list(int at, const char *name, struct err *err);

static inline void cleanup_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

/* Bytes that an unprivileged process can still write. */
MUST_CHECK int layout_free_bytes(const struct layout *layout, uint64_t *out_bytes, struct err *err);

#endif
