/* Sweeping; see gc.h. */
#include "gc.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layout.h"

static int sweep_folder(int objects, const char *folder, const struct digest_set *marked,
                        uint64_t *swept, struct err *err)
{
	CLEANUP(cleanup_dir) DIR *dir = layout_list(objects, folder, err);
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
		if (digest_parse_hex(hex, 64, &digest, &no_object) ||
		    digest_set_has(marked, &digest))
			continue;
		if (!unlinkat(dirfd(dir), entry->d_name, 0))
			(*swept)++;
	}
	return 0;
}

int gc_sweep(int objects, const struct digest_set *marked, uint64_t *out_swept, struct err *err)
{
	CLEANUP(cleanup_dir) DIR *dir = layout_list(objects, ".", err);
	const struct dirent *entry;
	uint64_t swept = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		if (strlen(entry->d_name) == 2 && strspn(entry->d_name, "0123456789abcdef") == 2 &&
		    sweep_folder(objects, entry->d_name, marked, &swept, err))
			return -1;
	*out_swept = swept;
	return 0;
}
