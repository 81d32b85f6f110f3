/* Whether the store can live in the data directory; see check_steps.h. */
#include "check_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "advice.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "storing.h"
#include "storage/storage.h"

static const char step[] = "data directory";

static enum advice_cause cause_of(int sys)
{
	switch (sys) {
	case EACCES:
	case EPERM:
		return ADVICE_DATA_DIR_UNWRITABLE;
	case EROFS:
		return ADVICE_DATA_DIR_READ_ONLY;
	case ENOSPC:
	case EDQUOT:
		return ADVICE_DISK_FULL;
	case ENOTDIR:
	case ELOOP:
		return ADVICE_DATA_DIR_NO_FOLDER;
	case ENOENT:
		return ADVICE_DATA_DIR_MISSING;
	default:
		return ADVICE_DATA_DIR_IO;
	}
}

/* For `return with_cause(err_set_sys(…), err);`. */
static int with_cause(int failed, struct err *err)
{
	err->cause = (int)cause_of(err->sys);
	return failed;
}

static int check_may_write(const char *path, struct err *err)
{
	if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS))
		return with_cause(err_set_sys(err, errno, "user %u can't write into %s",
		                              (unsigned)geteuid(), path),
		                  err);
	return 0;
}

/* A file that vanishes by itself, whatever happens: without a name where that can be. */
static int open_unnamed(const char *dir, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char path[PATH_MAX];

	if (fd >= 0)
		return steal_fd(&fd);
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return with_cause(err_set_sys(err, errno, "make a file in %s", dir), err);
	(void)snprintf(path, sizeof(path), "%s/.check-%ld", dir, (long)getpid());
	fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || unlink(path))
		return with_cause(err_set_sys(err, errno, "make a file in %s", dir), err);
	return steal_fd(&fd);
}

static int check_writing(const char *dir, struct err *err)
{
	static const char block[64 * 1024] = "specman check";
	CLEANUP(cleanup_fd) int fd = open_unnamed(dir, err);

	if (fd < 0)
		return -1;
	if (io_write_all(fd, block, sizeof(block), "a file", err))
		return with_cause(err_context(err, "%s", dir), err);
	if (fsync(fd))
		return with_cause(err_set_sys(err, errno, "make a file in %s durable", dir), err);
	return 0;
}

static int check_parts(const char *dir, struct err *err)
{
	static const char *const names[] = { "objects", "blocks", "releases", "quarantine", "tmp" };
	char path[PATH_MAX];
	struct stat st;

	if (check_may_write(dir, err))
		return -1;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		if (!stat(path, &st) && check_may_write(path, err))
			return -1;
	}
	if (!store_check_format(dir, err))
		return 0;
	if (err->kind == ERR_CONFIG)
		return err_cause(err, ADVICE_STORE_FORMAT);
	return with_cause(-1, err);
}

static int check_room(const char *dir, uint64_t reserve, uint64_t *out_free, struct err *err)
{
	struct statvfs fs;

	if (statvfs(dir, &fs))
		return with_cause(err_set_sys(err, errno, "free space of %s", dir), err);
	*out_free = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (*out_free > reserve)
		return 0;
	(void)err_set(err, ERR_NO_SPACE,
	              "%s has %" PRIu64 " bytes free, and %" PRIu64 " are always kept in reserve",
	              dir, *out_free, reserve);
	return err_cause(err, ADVICE_DISK_FULL);
}

/* The folder is made at the first start, when the one above it lets it be made. */
static int check_parent(const char *dir, char parent[static PATH_MAX], struct err *err)
{
	struct stat st;
	char *above;

	(void)snprintf(parent, PATH_MAX, "%s", dir);
	above = dirname(parent);
	memmove(parent, above, strlen(above) + 1);
	if (stat(parent, &st))
		return with_cause(
			err_set_sys(err, errno, "%s is not there, and neither is %s", dir, parent),
			err);
	return check_may_write(parent, err) ? err_context(err, "%s is not there", dir) : 0;
}

static int check_folder(const char *dir, uint64_t reserve, uint64_t *out_free, struct err *err)
{
	if (check_room(dir, reserve, out_free, err) || check_parts(dir, err) ||
	    check_writing(dir, err))
		return -1;
	return 0;
}

void check_disk(struct check *check)
{
	const char *dir = check->config->data_dir;
	const uint64_t reserve = (uint64_t)check->config->disk_reserve;
	char parent[PATH_MAX];
	uint64_t free_bytes = 0;
	struct stat st;
	struct err err;
	bool is_there = !stat(dir, &st);
	int failed = 0;

	if (!is_there && errno != ENOENT)
		failed = with_cause(err_set_sys(&err, errno, "%s", dir), &err);
	else if (is_there && !S_ISDIR(st.st_mode))
		failed = with_cause(err_set_sys(&err, ENOTDIR, "%s", dir), &err);
	else if (is_there)
		failed = check_folder(dir, reserve, &free_bytes, &err);
	else
		failed = check_parent(dir, parent, &err) ||
		         check_room(parent, reserve, &free_bytes, &err);
	if (failed)
		report_failure(check, step, &err);
	else if (is_there)
		report_ok(check, step, "%s is writable, %" PRIu64 " MiB free", dir,
		          free_bytes >> 20);
	else
		report_ok(check, step, "%s is not there yet and can be made, %" PRIu64 " MiB free",
		          dir, free_bytes >> 20);
}

uint64_t check_disk_room(const struct config *config)
{
	const uint64_t reserve = (uint64_t)config->disk_reserve;
	struct statvfs fs;
	uint64_t free_bytes;

	if (statvfs(config->data_dir, &fs))
		return 0;
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	return free_bytes > reserve ? free_bytes - reserve : 0;
}
