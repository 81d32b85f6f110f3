/* Sweeping; see gc.h. */
#include "gc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static DIR *open_dir(int at, const char *name, struct err *err)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		(void)err_set_sys(err, errno, "list objects/%s", name);
		cleanup_fd(&fd);
	}
	return dir;
}

static int sweep_folder(const struct layout *layout, const char *folder, bool only_count,
                        struct digest_set *marked, uint64_t *swept, struct err *err)
{
	CLEANUP(cleanup_dir) DIR *dir = open_dir(layout->objects, folder, err);
	const struct dirent *entry;
	struct err no_object;

	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		struct digest digest;
		char hex[2 + 62 + 1];

		if (strlen(entry->d_name) != 62)
			continue;
		memcpy(hex, folder, 2);
		memcpy(hex + 2, entry->d_name, 63);
		if (digest_parse_hex(hex, 64, &digest, &no_object))
			continue;
		if (digest_set_has(marked, &digest))
			digest_set_remove(marked, &digest);
		else if (only_count || !unlinkat(dirfd(dir), entry->d_name, 0))
			(*swept)++;
	}
	return 0;
}

static int sweep(const struct layout *layout, bool only_count, struct digest_set *marked,
                 uint64_t *out_swept, struct err *err)
{
	CLEANUP(cleanup_dir) DIR *dir = open_dir(layout->objects, ".", err);
	const struct dirent *entry;
	uint64_t swept = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		if (strlen(entry->d_name) == 2 && strspn(entry->d_name, "0123456789abcdef") == 2 &&
		    sweep_folder(layout, entry->d_name, only_count, marked, &swept, err))
			return -1;
	*out_swept = swept;
	return 0;
}

int gc_sweep(const struct layout *layout, struct digest_set *marked, uint64_t *out_swept,
             struct err *err)
{
	return sweep(layout, false, marked, out_swept, err);
}

int gc_count(const struct layout *layout, struct digest_set *marked, uint64_t *out_count,
             struct err *err)
{
	return sweep(layout, true, marked, out_count, err);
}
