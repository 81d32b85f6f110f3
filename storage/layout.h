/*
 * The store's folder: its parts, its lock, its format, its temporary files.
 *
 *	format  lock  objects/  blocks/  releases/  quarantine/  tmp/
 */
#ifndef SPECMAN_STORAGE_LAYOUT_H
#define SPECMAN_STORAGE_LAYOUT_H

#include <dirent.h>
#include <stdbool.h>
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
	bool is_locked;         /* false: the file system has no locks */
	uint64_t reserve_bytes; /* set by the owner */
	bool trusts_objects;    /* set by the owner: see object.h */
};

enum {
	LAYOUT_OBJECT_SIZE = 2 + 1 + 62 + 1, /* "ab/cdef…" and NUL */
	LAYOUT_TMP_SIZE = 40,
};

/* What names of downloads in tmp/ begin with; these stay there over a restart. */
#define LAYOUT_DOWNLOAD "download-"

/*
 * Open (and make) the folder, lock it, check its format, empty tmp/ of all but
 * downloads. The format is written durably before anything else of the store.
 * Errors: ERR_CONFIG for a lock held by another (names its process) and for a
 * format that this version does not know; else ERR_IO. layout_close is for
 * success only.
 *
 * The lock (flock) keeps a second process away that runs on the same host, or,
 * where NFS passes locks on to its server, on another one. A file system that
 * has none (ENOLCK, EOPNOTSUPP) is used without, and is_locked says so.
 */
MUST_CHECK int layout_open(const char *dir, struct layout *out_layout, struct err *err);

/*
 * Open a store that is there to read it: no lock, nothing made or emptied. Of
 * the folders only the root, objects and releases are open then, the others are
 * -1. ERR_NOT_FOUND where no store is; else as layout_open.
 */
MUST_CHECK int layout_open_reader(const char *dir, struct layout *out_layout, struct err *err);
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

/*
 * Its next entry: 1, or 0 at its end; -1 with ERR_IO, so that a folder of which a part can't
 * be read is not taken for one that has less in it. The entry is valid until the next call.
 */
MUST_CHECK int layout_next(DIR *dir, const struct dirent **out_entry, const char *name,
                           struct err *err);

static inline void cleanup_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

/*
 * Whether `needed` more bytes leave the reserve untouched, and there are inodes
 * left. ERR_NO_SPACE with the numbers, or ERR_IO.
 */
MUST_CHECK int layout_check_room(const struct layout *layout, uint64_t needed, struct err *err);

/* How many bytes may be written between two looks at the room: a part of the reserve. */
uint64_t layout_look_bytes(const struct layout *layout);

/* Give the numbers with the error of a write that found the disk full; leave others alone. */
void layout_explain(const struct layout *layout, struct err *err);

#endif
