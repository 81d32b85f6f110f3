/* Whole reads and writes; see io.h. */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

int io_write_all(int fd, const void *bytes, size_t size, const char *name, struct err *err)
{
	const char *next = bytes;

	while (size) {
		ssize_t n = write(fd, next, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_sys(err, errno, "write %s", name);
		next += n;
		size -= (size_t)n;
	}
	return 0;
}

int io_read_at(int fd, void *bytes, size_t size, unsigned long long offset, const char *name,
               struct err *err)
{
	char *next = bytes;

	while (size) {
		ssize_t n = pread(fd, next, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_sys(err, errno, "read %s", name);
		if (n == 0)
			return err_set(err, ERR_FORMAT, "%s is shorter than it should be", name);
		next += n;
		size -= (size_t)n;
		offset += (unsigned long long)n;
	}
	return 0;
}

int io_read_rest(int fd, const char *name, struct buf *buf, struct err *err)
{
	char block[16384];

	for (;;) {
		ssize_t n = read(fd, block, sizeof(block));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_sys(err, errno, "read %s", name);
		if (n == 0)
			return 0;
		if (buf_add(buf, block, (size_t)n, err))
			return err_context(err, "read %s", name);
	}
}

int io_read_file(int dir_fd, const char *path, struct buf *buf, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(err, ERR_NOT_FOUND, "%s is not there", path);
	if (fd < 0)
		return err_set_sys(err, errno, "open %s", path);
	return io_read_rest(fd, path, buf, err);
}

int io_sync_names(int dir_fd)
{
	/* What POSIX allows an fsync of anything but a file to say: there is nothing to do. */
	return fsync(dir_fd) && errno != EINVAL ? -1 : 0;
}

/* Sync the folder that holds path, so that a rename in it lasts. */
static int sync_folder(int dir_fd, const char *path, struct err *err)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	CLEANUP(cleanup_fd) int fd = -1;

	(void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
	               slash ? path : ".");
	fd = openat(dir_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || io_sync_names(fd))
		return err_set_sys(err, errno, "sync folder %s", folder);
	return 0;
}

static int put_file(int dir_fd, const char *path, const void *bytes, size_t size, unsigned mode,
                    struct err *err)
{
	char beside[PATH_MAX];
	CLEANUP(cleanup_fd) int fd = -1;

	if ((size_t)snprintf(beside, sizeof(beside), "%s.new", path) >= sizeof(beside))
		return err_set(err, ERR_LIMIT, "path %.80s… is too long", path);
	if (unlinkat(dir_fd, beside, 0) && errno != ENOENT)
		return err_set_sys(err, errno, "remove %s", beside);
	fd = openat(dir_fd, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return err_set_sys(err, errno, "create %s", beside);
	if (io_write_all(fd, bytes, size, beside, err))
		goto fail;
	if (fsync(fd)) {
		(void)err_set_sys(err, errno, "sync %s", beside);
		goto fail;
	}
	if (renameat(dir_fd, beside, dir_fd, path)) {
		(void)err_set_sys(err, errno, "rename %s", beside);
		goto fail;
	}
	return 0;
fail:
	(void)unlinkat(dir_fd, beside, 0);
	return -1;
}

int io_replace_file(int dir_fd, const char *path, const void *bytes, size_t size, unsigned mode,
                    struct err *err)
{
	return put_file(dir_fd, path, bytes, size, mode, err) || sync_folder(dir_fd, path, err) ? -1
	                                                                                        : 0;
}

uint64_t io_fingerprint(uint64_t hash, const struct stat *st)
{
	const uint64_t parts[] = { (uint64_t)st->st_ino, (uint64_t)st->st_size,
		                   (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec };

	/* FNV-1a, word by word */
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		hash = (hash ^ parts[i]) * 1099511628211ULL;
	return hash;
}
