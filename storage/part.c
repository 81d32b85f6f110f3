/* Folders in the making; see part.h. */
#include "part.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "remove_tree.h"

static const char mark[] = ".specman-part-";

enum { RANDOM = 6, TRIES = 16 }; /* mkdtemp's letters */

/* Locked by this process now, and still there: somebody may have swept it before it was locked. */
static bool lock(int fd)
{
	struct stat st;

	errno = 0;
	return !flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &st) && st.st_nlink > 0;
}

/* Where files can't be locked nobody's death can be told, and nothing is removed. */
static void sweep_one(const char *path)
{
	CLEANUP(cleanup_fd)
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && st.st_uid == geteuid() && lock(fd))
		remove_tree(path);
}

/* `prefix` is the path of each, but for the random letters. */
static void sweep(const char *prefix)
{
	const char *slash = strrchr(prefix, '/');
	const char *name = slash ? slash + 1 : prefix;
	char path[PATH_MAX];
	const struct dirent *entry;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%.*s", slash ? (int)(name - prefix) : 1,
	               slash ? prefix : ".");
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (strlen(entry->d_name) == strlen(name) + RANDOM &&
		    !strncmp(entry->d_name, name, strlen(name))) {
			(void)snprintf(path, sizeof(path), "%s%s", prefix,
			               entry->d_name + strlen(name));
			sweep_one(path);
		}
	if (dir)
		(void)closedir(dir);
}

int part_make(const char *path, size_t length, struct part *out_part, struct err *err)
{
	struct part part;

	if (length + sizeof(mark) + RANDOM > sizeof(part.path))
		return err_set(err, ERR_CONFIG, "the folder's name is too long");
	(void)snprintf(part.path, sizeof(part.path), "%.*s%s", (int)length, path, mark);
	sweep(part.path);
	for (int i = 0; i < TRIES; i++) {
		(void)snprintf(part.path, sizeof(part.path), "%.*s%sXXXXXX", (int)length, path,
		               mark);
		if (!mkdtemp(part.path))
			return err_set_sys(err, errno, "create folder %s", part.path);
		part.fd = open(part.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (part.fd < 0 && errno != ENOENT)
			return err_set_sys(err, errno, "open folder %s", part.path);
		if (part.fd >= 0 && (lock(part.fd) || errno == ENOLCK || errno == ENOTSUP)) {
			*out_part = part;
			return 0;
		}
		cleanup_fd(&part.fd);
	}
	return err_set(err, ERR_IO, "%s: others sweep what is made here", part.path);
}
