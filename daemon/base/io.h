/* Whole reads and writes, which system calls don't promise. */
#ifndef SPECMAN_BASE_IO_H
#define SPECMAN_BASE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"

/* Write all bytes to fd. `name` is for the error's text. */
MUST_CHECK int io_write_all(int fd, const void *bytes, size_t size, const char *name,
                            struct err *err);

/* Read `size` bytes at `offset`. A shorter file is ERR_FORMAT. */
MUST_CHECK int io_read_at(int fd, void *bytes, size_t size, unsigned long long offset,
                          const char *name, struct err *err);

/* Append what fd still has to give to buf. ERR_LIMIT past buf's limit, else ERR_IO. */
MUST_CHECK int io_read_rest(int fd, const char *name, struct buf *buf, struct err *err);

/*
 * Append a whole file to buf. dir_fd as in openat(2), or AT_FDCWD.
 * ERR_NOT_FOUND when there is none, ERR_LIMIT past buf's limit, else ERR_IO.
 */
MUST_CHECK int io_read_file(int dir_fd, const char *path, struct buf *buf, struct err *err);

/*
 * Make the names in an open folder durable; on a file system that can't sync
 * folders by themselves (EINVAL) they are as durable as it makes them. -1 and errno.
 */
MUST_CHECK int io_sync_names(int dir_fd);

/*
 * Make a file with this content appear as a whole: written beside its place
 * under a name of its own, made durable, renamed, and its folder made durable. An
 * existing file is replaced. On an error nothing has changed (in particular what
 * could not be made durable is thrown away and not synced once more, since the
 * kernel reports a page that it could not write only once); when only the folder
 * can't be synced, the file is there and may be gone after a power loss.
 * mode as in open(2).
 */
MUST_CHECK int io_replace_file(int dir_fd, const char *path, const void *bytes, size_t size,
                               unsigned mode, struct err *err);

/* Mix what tells a file from its changed self (inode, size, time) into a hash. */
uint64_t io_fingerprint(uint64_t hash, const struct stat *st);

#define IO_FINGERPRINT_START 14695981039346656037ULL

#endif
