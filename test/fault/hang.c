/*
 * A layer between a program and the C library, for LD_PRELOAD: a disk that hangs, and a
 * monotonic clock that can be put forward. Configured by the environment:
 *
 *	HANG_WHILE  while this file is there, calls that ask the data directory's file system
 *	            as a whole, or list a folder of it, do not return
 *	HANG_CLOCK  a file with the seconds by which CLOCK_MONOTONIC is ahead, or none
 */
#include <dirent.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

static void hang(void)
{
	const char *file = getenv("HANG_WHILE");

	while (file && !access(file, F_OK))
		(void)usleep(10 * 1000);
}

int statvfs(const char *restrict path, struct statvfs *restrict out)
{
	hang();
	return REAL(statvfs)(path, out);
}

int syncfs(int fd)
{
	hang();
	return REAL(syncfs)(fd);
}

DIR *fdopendir(int fd)
{
	hang();
	return REAL(fdopendir)(fd);
}

static long ahead_s(void)
{
	const char *file = getenv("HANG_CLOCK");
	char text[16] = "";
	int fd = file ? (int)syscall(SYS_openat, -100, file, 0) : -1;

	if (fd < 0)
		return 0;
	if (syscall(SYS_read, fd, text, sizeof(text) - 1) < 0)
		*text = '\0';
	(void)syscall(SYS_close, fd);
	return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
	long failed = syscall(SYS_clock_gettime, clock, out);

	if (!failed && clock == CLOCK_MONOTONIC)
		out->tv_sec += ahead_s();
	return failed ? -1 : 0;
}
