/*
 * A layer between a program and the C library, for LD_PRELOAD: it counts each
 * call that changes something below one folder, and fails or ends the program
 * at the one that it is told to. Configured by the environment:
 *
 *	FAULT_DIR    the folder, absolute
 *	FAULT_TRACE  a file that gets a line for each call, or unset
 *	FAULT_AT     the number of the call to fail at, from 1; 0 or unset: none
 *	FAULT_HOW    before | after: SIGKILL on that side of it; an errno as a number;
 *	             or rot: a write succeeds, and its first byte is another on disk
 *	FAULT_ON     with an errno: all later calls fail as well, if it is set
 *	FAULT_ONLY   it is only about calls like this one: "fsync releases", or "fsync"
 *	FAULT_WHILE  with an errno: calls fail as long as this file is there
 *
 * A line of the trace, separated by tabs: number, call, result (0 or an errno),
 * offset, path, second path, bytes in hex. Paths are relative to the
 * folder ("." itself); "-" is none. A failed open of a file that is to be
 * created, a close of one that was written and a sync count as well, since
 * they can fail, too. All but close goes straight to the kernel, so
 * that it does not matter what other layers there are (sanitizers).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { LINE_ROOM = 3 * PATH_MAX, NONE = -1 };

struct call {
	const char *name;
	char path[PATH_MAX];
	char other[PATH_MAX];
	int fd;
	long long offset;
	const void *bytes;
	size_t size;
	unsigned number;
	unsigned place; /* its number among those that FAULT_AT is about, or 0 */
	bool skip;      /* it is to fail: error says how */
	bool rots;      /* it is a write, of which something else is to be read */
	int error;
};

/*
 * One call after the other, so that the order of the trace is that of what
 * happened. Recursive, since a call may be made on behalf of another.
 */
static pthread_mutex_t turn = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static unsigned count, matching;

/* ---- which calls count ---- */

/* Cut the folder off an absolute path. Whether it lies below. */
static bool make_relative(char path[static PATH_MAX])
{
	const char *dir = getenv("FAULT_DIR");
	size_t length = dir ? strlen(dir) : 0;
	const char *rest = path + length;

	if (!length || strncmp(path, dir, length) != 0 || (*rest && *rest != '/'))
		return false;
	while (*rest == '/')
		rest++;
	memmove(path, *rest ? rest : ".", strlen(*rest ? rest : ".") + 1);
	return true;
}

static bool path_of_fd(int fd, char path[static PATH_MAX])
{
	static const char gone[] = " (deleted)";
	char name[40];
	ssize_t length;

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	length = readlink(name, path, PATH_MAX - 1);
	path[length < 0 ? 0 : length] = '\0';
	if (length >= (ssize_t)sizeof(gone) && !strcmp(path + length - (sizeof(gone) - 1), gone))
		path[length - (ssize_t)(sizeof(gone) - 1)] = '\0';
	return length >= 0 && make_relative(path);
}

static bool path_at(int at, const char *name, char path[static PATH_MAX])
{
	char folder[PATH_MAX] = "";
	char link[40] = "/proc/self/cwd";
	ssize_t length = 0;

	if (*name != '/') {
		if (at != AT_FDCWD)
			(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
		length = readlink(link, folder, sizeof(folder) - 1);
	}
	folder[length < 0 ? 0 : length] = '\0';
	return snprintf(path, PATH_MAX, "%s%s%s", folder, *folder ? "/" : "", name) < PATH_MAX &&
	       make_relative(path);
}

static bool is_written(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

/* ---- before and after each ---- */

static bool fails_here(const struct call *call)
{
	const char *at = getenv("FAULT_AT");
	const char *file = getenv("FAULT_WHILE");
	unsigned number = at ? (unsigned)strtoul(at, NULL, 10) : 0;

	if (call->place && file && !access(file, F_OK))
		return true;
	if (!number)
		return false;
	return call->place == number || (getenv("FAULT_ON") && call->place > number);
}

static bool is_meant(const struct call *call)
{
	const char *only = getenv("FAULT_ONLY");
	char text[32 + PATH_MAX];

	(void)snprintf(text, sizeof(text), "%s %s", call->name, call->path);
	return !only || !strcmp(only, text) || !strcmp(only, call->name);
}

/* Takes the turn, which end gives back. */
static void begin(struct call *call)
{
	const char *how = getenv("FAULT_HOW");

	(void)pthread_mutex_lock(&turn);
	call->number = ++count;
	if (is_meant(call))
		call->place = ++matching;
	if (!how || !fails_here(call))
		return;
	if (!strcmp(how, "before"))
		(void)raise(SIGKILL);
	call->rots = !strcmp(how, "rot");
	call->error = atoi(how);
	call->skip = call->error != 0;
}

static void put(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = syscall(SYS_write, fd, bytes, size);

		if (n <= 0)
			return;
		bytes += n;
		size -= (size_t)n;
	}
}

static void write_down(const struct call *call, int error)
{
	const char *name = getenv("FAULT_TRACE");
	int fd = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_APPEND | O_CREAT,
	                             0644)
	              : NONE;
	size_t room = LINE_ROOM + 2 * call->size;
	char *line = fd >= 0 ? malloc(room) : NULL;
	size_t length;

	if (line) {
		length = (size_t)snprintf(line, room, "%u\t%s\t%d\t%lld\t%s\t%s\t", call->number,
		                          call->name, error, call->offset, call->path,
		                          *call->other ? call->other : "-");
		for (size_t i = 0; i < call->size; i++)
			length += (size_t)sprintf(line + length, "%02x",
			                          ((const unsigned char *)call->bytes)[i]);
		line[length++] = '\n';
		put(fd, line, length);
	}
	free(line);
	if (fd >= 0)
		(void)syscall(SYS_close, fd);
}

/* Returns what the call is to return; errno is that of the call. */
static long long end(const struct call *call, long long result)
{
	const char *how = getenv("FAULT_HOW");
	int error = call->skip ? call->error : result < 0 ? errno : 0;

	write_down(call, error);
	if (how && !strcmp(how, "after") && fails_here(call))
		(void)raise(SIGKILL);
	(void)pthread_mutex_unlock(&turn);
	if (call->skip)
		result = NONE;
	if (error)
		errno = error;
	return result;
}

/* Go through with a call, unless it is to fail. */
#define THROUGH(call, type, real) ((type)end(&(call), (call).skip ? NONE : (long long)(real)))

/* ---- opening and closing ---- */

static int opened(int at, const char *name, int flags, mode_t mode, bool is_large)
{
	struct call call = { .name = "create" };

	flags |= is_large ? O_LARGEFILE : 0;
	if (!(flags & O_CREAT) || !path_at(at, name, call.path))
		return (int)syscall(SYS_openat, at, name, flags, mode);
	begin(&call);
	return THROUGH(call, int, syscall(SYS_openat, at, name, flags, mode));
}

static mode_t mode_of(int flags, va_list *rest)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(*rest, mode_t) : 0;
}

#define OPEN(name, at, is_large, ...)                                                              \
	int name(__VA_ARGS__, int flags, ...)                                                      \
	{                                                                                          \
		va_list rest;                                                                      \
		mode_t mode;                                                                       \
                                                                                                   \
		va_start(rest, flags);                                                             \
		mode = mode_of(flags, &rest);                                                      \
		va_end(rest);                                                                      \
		return opened(at, path, flags, mode, is_large);                                    \
	}

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int at, const char *path, int flags);
int __openat64_2(int at, const char *path, int flags);

OPEN(open, AT_FDCWD, false, const char *path)
OPEN(open64, AT_FDCWD, true, const char *path)
OPEN(openat, at, false, int at, const char *path)
OPEN(openat64, at, true, int at, const char *path)

int __open_2(const char *path, int flags)
{
	return opened(AT_FDCWD, path, flags, 0, false);
}

int __open64_2(const char *path, int flags)
{
	return opened(AT_FDCWD, path, flags, 0, true);
}

int __openat_2(int at, const char *path, int flags)
{
	return opened(at, path, flags, 0, false);
}

int __openat64_2(int at, const char *path, int flags)
{
	return opened(at, path, flags, 0, true);
}

/* By the next layer, since ThreadSanitizer keeps account of descriptors. */
static int really_close(int fd)
{
	const union {
		void *object;
		int (*function)(int);
	} next = { .object = dlsym(RTLD_NEXT, "close") };

	return next.function ? next.function(fd) : (int)syscall(SYS_close, fd);
}

/* A close always closes, also where it is to report an error. */
int close(int fd)
{
	struct call call = { .name = "close" };

	if (!is_written(fd) || !path_of_fd(fd, call.path))
		return really_close(fd);
	begin(&call);
	return (int)end(&call, really_close(fd));
}

/* ---- bytes ---- */

static bool is_ours(struct call *call)
{
	return is_written(call->fd) && path_of_fd(call->fd, call->path);
}

/* The first byte alone: a short write is allowed by POSIX, the rest follows by itself. */
static long long write_rotten(struct call *call)
{
	const unsigned char byte = (unsigned char)~*(const unsigned char *)call->bytes;

	call->bytes = &byte;
	call->size = 1;
	return end(call, syscall(SYS_write, call->fd, &byte, 1));
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	struct call call = { .name = "write", .fd = fd, .bytes = bytes, .size = size };

	if (!is_ours(&call))
		return syscall(SYS_write, fd, bytes, size);
	call.offset = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
	begin(&call);
	if (call.rots && size)
		return (ssize_t)write_rotten(&call);
	return THROUGH(call, ssize_t, syscall(SYS_write, fd, bytes, size));
}

static ssize_t write_at(int fd, const void *bytes, size_t size, long long offset)
{
	struct call call = {
		.name = "write", .fd = fd, .bytes = bytes, .size = size, .offset = offset
	};

	if (!is_ours(&call))
		return syscall(SYS_pwrite64, fd, bytes, size, offset);
	begin(&call);
	return THROUGH(call, ssize_t, syscall(SYS_pwrite64, fd, bytes, size, offset));
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	return write_at(fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
	return write_at(fd, bytes, size, offset);
}

/* One write for each part; a short one is allowed by POSIX. */
ssize_t writev(int fd, const struct iovec *parts, int number)
{
	struct call call = { .fd = fd };

	if (!is_ours(&call))
		return syscall(SYS_writev, fd, parts, number);
	return number ? write(fd, parts->iov_base, parts->iov_len) : 0;
}

static int cut(int fd, long long size)
{
	struct call call = { .name = "truncate", .fd = fd, .offset = size };

	if (!is_ours(&call))
		return (int)syscall(SYS_ftruncate, fd, size);
	begin(&call);
	return THROUGH(call, int, syscall(SYS_ftruncate, fd, size));
}

int ftruncate(int fd, off_t size)
{
	return cut(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
	return cut(fd, size);
}

/* ---- durability ---- */

#define SYNC(name_)                                                                                \
	int name_(int fd)                                                                          \
	{                                                                                          \
		struct call call = { .name = #name_, .fd = fd };                                   \
                                                                                                   \
		if (!path_of_fd(fd, call.path))                                                    \
			return (int)syscall(SYS_##name_, fd);                                      \
		begin(&call);                                                                      \
		return THROUGH(call, int, syscall(SYS_##name_, fd));                               \
	}

SYNC(fsync)
SYNC(fdatasync)
SYNC(syncfs)

/* Not counted among the calls that change something, but for those that ask for it. */
int flock(int fd, int operation)
{
	struct call call = { .name = "flock" };
	const char *only = getenv("FAULT_ONLY");

	if (!only || strncmp(only, call.name, strlen(call.name)) != 0 || !path_of_fd(fd, call.path))
		return (int)syscall(SYS_flock, fd, operation);
	begin(&call);
	return THROUGH(call, int, syscall(SYS_flock, fd, operation));
}

/* ---- names ---- */

static int renamed(int from, const char *old, int to, const char *new, unsigned flags)
{
	struct call call = { .name = "rename" };
	bool is_from = path_at(from, old, call.path);
	bool is_to = path_at(to, new, call.other);

	if (!is_from && !is_to)
		return (int)syscall(SYS_renameat2, from, old, to, new, flags);
	begin(&call);
	return THROUGH(call, int, syscall(SYS_renameat2, from, old, to, new, flags));
}

int rename(const char *old, const char *new)
{
	return renamed(AT_FDCWD, old, AT_FDCWD, new, 0);
}

int renameat(int from, const char *old, int to, const char *new)
{
	return renamed(from, old, to, new, 0);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	return renamed(from, old, to, new, flags);
}

int linkat(int from, const char *old, int to, const char *new, int flags)
{
	struct call call = { .name = "link" };

	(void)path_at(from, old, call.path);
	if (!path_at(to, new, call.other))
		return (int)syscall(SYS_linkat, from, old, to, new, flags);
	begin(&call);
	return THROUGH(call, int, syscall(SYS_linkat, from, old, to, new, flags));
}

int link(const char *old, const char *new)
{
	return linkat(AT_FDCWD, old, AT_FDCWD, new, 0);
}

int unlinkat(int at, const char *name, int flags)
{
	struct call call = { .name = flags & AT_REMOVEDIR ? "rmdir" : "unlink" };

	if (!path_at(at, name, call.path))
		return (int)syscall(SYS_unlinkat, at, name, flags);
	begin(&call);
	/* What is not there is not busy. */
	if (call.error == EBUSY && faccessat(at, name, F_OK, AT_SYMLINK_NOFOLLOW))
		call.skip = false;
	return THROUGH(call, int, syscall(SYS_unlinkat, at, name, flags));
}

int unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}

int rmdir(const char *name)
{
	return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

int mkdirat(int at, const char *name, mode_t mode)
{
	struct call call = { .name = "mkdir" };

	if (!path_at(at, name, call.path))
		return (int)syscall(SYS_mkdirat, at, name, mode);
	begin(&call);
	return THROUGH(call, int, syscall(SYS_mkdirat, at, name, mode));
}

int mkdir(const char *name, mode_t mode)
{
	return mkdirat(AT_FDCWD, name, mode);
}
