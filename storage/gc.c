/* Sweeping; see gc.h. */
#include "gc.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layout.h"

struct sweeping {
	int objects;
	const struct digest_set *marked;
	bool *met; /* or NULL */
	bool only_counts;
	uint64_t count;
};

/* An object that is not marked. */
static int sweep_one(struct sweeping *sweeping, int folder_fd, const char *folder, const char *name,
                     struct err *err)
{
	if (sweeping->only_counts || !unlinkat(folder_fd, name, 0))
		sweeping->count++;
	else if (errno != ENOENT)
		return err_set_sys(err, errno, "remove objects/%s/%s", folder, name);
	return 0;
}

static int sweep_folder(struct sweeping *sweeping, const char *folder, struct err *err)
{
	CLEANUP(cleanup_dir) DIR *dir = layout_list(sweeping->objects, folder, err);
	const struct dirent *entry;
	struct err no_object, later;
	int failed = 0, more;

	if (!dir)
		return -1;
	while ((more = layout_next(dir, &entry, folder, failed ? &later : err)) > 0) {
		struct digest digest;
		char hex[2 + 62 + 1];
		size_t number;

		if (strlen(entry->d_name) != 62)
			continue;
		memcpy(hex, folder, 2);
		memcpy(hex + 2, entry->d_name, 63);
		if (digest_parse_hex(hex, 64, &digest, &no_object))
			continue;
		number = digest_set_find(sweeping->marked, &digest);
		if (number == SET_NOWHERE)
			failed |= sweep_one(sweeping, dirfd(dir), folder, entry->d_name,
			                    failed ? &later : err);
		else if (sweeping->met)
			sweeping->met[number] = true;
	}
	return failed || more < 0 ? -1 : 0;
}

static int sweep(struct sweeping *sweeping, uint64_t *out_count, struct err *err)
{
	CLEANUP(cleanup_dir) DIR *dir = layout_list(sweeping->objects, ".", err);
	const struct dirent *entry;
	struct err later;
	int failed = 0, more;

	*out_count = 0;
	if (!dir)
		return -1;
	while ((more = layout_next(dir, &entry, "objects", failed ? &later : err)) > 0)
		if (strlen(entry->d_name) == 2 && strspn(entry->d_name, "0123456789abcdef") == 2 &&
		    sweep_folder(sweeping, entry->d_name, failed ? &later : err))
			failed = -1;
	*out_count = sweeping->count;
	return failed || more < 0 ? -1 : 0;
}

int gc_sweep(int objects, const struct digest_set *marked, bool *met, uint64_t *out_swept,
             struct err *err)
{
	struct sweeping sweeping = { .objects = objects, .marked = marked, .met = met };

	return sweep(&sweeping, out_swept, err);
}

int gc_count(int objects, const struct digest_set *marked, uint64_t *out_count, struct err *err)
{
	struct sweeping sweeping = { .objects = objects, .marked = marked, .only_counts = true };

	return sweep(&sweeping, out_count, err);
}
