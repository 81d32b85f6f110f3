/*
 * Any bytes as an archive: unpacking ends, keeps its limits, leaves nothing in
 * tmp/, and what it accepts can be written as a release and read again.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/io.h"
#include "storage/digest_set.h"
#include "storage/gc.h"
#include "storage/object.h"
#include "storage/release.h"
#include "storage/unpack.h"

static const struct store_limits limits = {
	.entries = 500,
	.file_bytes = 1 << 20,
	.total_bytes = 2 << 20,
	.ratio = 200,
	.ratio_from = 1 << 20,
	.path_bytes = 400,
	.depth = 12,
};

static int look_at(void *ctx, const char *path, const struct tree_item *item, struct err *err)
{
	uint64_t *bytes = ctx;

	(void)err;
	MUST(path[0] != '/');
	MUST(strcmp(path, "..") != 0 && strncmp(path, "../", 3) != 0 && !strstr(path, "/../"));
	MUST(!strpbrk(path, "\n\r\x1b\x7f") && !strstr(path, "\xc2\x9b"));
	if (item->kind != TREE_FILE)
		return 0;
	*bytes += item->size;
	MUST(item->size <= limits.file_bytes);
	MUST(object_is_there(fuzz_store(), &item->content, item->size));
	MUST(item->twin_size <= item->size);
	MUST(!item->twin_size || object_is_there(fuzz_store(), &item->twin, item->twin_size));
	return 0;
}

static void check_release(const struct tree *tree)
{
	struct store_release info = { .tag = "1.0.0" }, again;
	uint64_t bytes = 0;
	struct err err;

	info.manifest.algorithm = DIGEST_SHA256;
	info.layer.algorithm = DIGEST_SHA256;
	if (release_write(fuzz_store(), tree, &info, &err)) {
		MUST(err.kind == ERR_LIMIT); /* a path that links made too long */
		return;
	}
	MUST(!release_read(fuzz_store(), "1.0.0", &again, look_at, &bytes, &err));
	MUST(again.files == info.files && bytes == info.bytes);
}

static unsigned count_tmp(void)
{
	DIR *dir = fdopendir(openat(fuzz_store()->root, "tmp", O_RDONLY | O_DIRECTORY));
	const struct dirent *entry;
	unsigned count = 0;

	MUST(dir);
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	MUST(!closedir(dir));
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct cancel *cancel;
	struct digest_set none = { .keys = NULL };
	struct tree *tree;
	uint64_t swept;
	struct err err = { .kind = ERR_NONE };
	int fd = memfd_create("archive", MFD_CLOEXEC);

	MUST(fd >= 0 && !io_write_all(fd, bytes, size, "archive", &err));
	if (!cancel)
		cancel = cancel_new(&err);
	MUST(cancel);
	tree = unpack(fd, NULL, fuzz_store(), &limits, cancel, &err);
	if (tree)
		check_release(tree);
	else
		MUST(err.kind == ERR_FORMAT || err.kind == ERR_LIMIT);
	tree_free(tree);
	MUST(!close(fd));
	MUST(!count_tmp());
	MUST(!gc_sweep(fuzz_store()->objects, &none, NULL, &swept, &err));
	return 0;
}
