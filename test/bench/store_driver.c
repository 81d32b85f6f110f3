/*
 * The store's own part of test/bench/store.py: makes stores of many files
 * without a registry, and measures what happens in one process.
 *
 *	store_driver make DIR FILES RELEASES   releases of FILES files each; nine of ten
 *	                                       files are the same in all of them
 *	store_driver load DIR                  milliseconds, KiB of memory, look-ups a second
 *	store_driver publish DIR TIMES         milliseconds until a new tag is in the view,
 *	                                       each time
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "storage/object.h"
#include "storage/release.h"
#include "storage/storage.h"
#include "storage/tree.h"

enum { FOLDER_FILES = 500, LOOKUPS = 2000000 };

static _Noreturn void fail(const char *what, const struct err *err)
{
	(void)fprintf(stderr, "store_driver: %s: %s\n", what, err ? err->msg : strerror(errno));
	exit(1);
}

static double now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void path_of(unsigned release, unsigned file, char path[static 128])
{
	(void)snprintf(path, 128, "roar/nickfury/packs/%05u/manifest-%07u-of-%u.yaml",
	               file / FOLDER_FILES, file, file % 10 ? 0 : release);
}

static void fill(struct object_writer *writer, struct tree *tree, unsigned release, unsigned file)
{
	struct tree_item item = { .kind = TREE_FILE, .mode = 0644, .mtime = 1733488994 };
	char path[128], text[160];
	struct err err;

	path_of(release, file, path);
	(void)snprintf(text, sizeof(text), "# %s\n", path);
	if (object_writer_add(writer, text, strlen(text), &err) ||
	    object_writer_end(writer, &item.content, &item.size, &err) ||
	    tree_put(tree, path, &item, &err))
		fail(path, &err);
}

static void make_release(const struct layout *layout, unsigned number, unsigned files)
{
	struct store_release info = { .manifest = { .algorithm = DIGEST_SHA256 },
		                      .layer = { .algorithm = DIGEST_SHA256 },
		                      .seen_ms = 1733488994000 + number };
	struct err err;
	struct object_writer *writer = object_writer_new(layout, &err);
	struct tree *tree = tree_new(UINT32_MAX, &err);

	if (!writer || !tree)
		fail("memory", &err);
	(void)snprintf(info.tag, sizeof(info.tag), "4.5.%u", number);
	(void)snprintf((char *)info.manifest.bytes, 32, "manifest %u", number);
	(void)snprintf((char *)info.layer.bytes, 32, "layer %u", number);
	for (unsigned i = 0; i < files; i++)
		fill(writer, tree, number, i);
	if (release_write(layout, tree, &info, &err))
		fail(info.tag, &err);
	tree_free(tree);
	object_writer_free(writer);
}

static int make(const char *dir, unsigned files, unsigned releases)
{
	struct layout layout;
	struct err err;

	if (layout_open(dir, &layout, &err))
		fail(dir, &err);
	for (unsigned i = 0; i < releases; i++)
		make_release(&layout, i, files);
	layout_close(&layout);
	return 0;
}

static struct store *open_store(const char *dir)
{
	struct err err;
	struct store *store = store_open(
		&(struct store_settings){ .dir = dir, .limits = store_default_limits }, &err);

	if (!store)
		fail(dir, &err);
	return store;
}

/* The number behind a name in /proc/self/status, in KiB. */
static long memory(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[128];
	long value = 0;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			value = strtol(line + strlen(name), NULL, 10);
	if (file)
		(void)fclose(file);
	return value;
}

/* Paths of files, in an order that no cache likes. */
static double look_up(const struct store_view *view, unsigned files)
{
	uint64_t random = 88172645463325252ULL;
	double start = now_ms();
	unsigned found = 0;

	for (unsigned i = 0; i < LOOKUPS; i++) {
		char path[128];

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		path_of(0, (unsigned)(random % files) / 10 * 10 + 1, path);
		found += store_view_find(view, path, strlen(path)) != NULL;
	}
	if (found != LOOKUPS)
		fail("a path is not there", NULL);
	return LOOKUPS / (now_ms() - start) * 1e3;
}

static int load(const char *dir)
{
	long before = memory("VmRSS:");
	double start = now_ms();
	struct store *store = open_store(dir);
	double took = now_ms() - start;
	long after = memory("VmRSS:"), peak = memory("VmHWM:");
	struct store_view *view = store_view_get(store);
	size_t top = store_view_release_count(view) - 1;
	unsigned files = (unsigned)store_view_release(view, top)->files;

	(void)printf("%.1f %ld %ld %.0f\n", took, after - before, peak - before,
	             look_up(view, files));
	store_view_put(view);
	store_close(store);
	return 0;
}

static int publish(const char *dir, unsigned times)
{
	struct store *store = open_store(dir);

	for (unsigned i = 0; i < times; i++) {
		struct digest manifest = { .algorithm = DIGEST_SHA256 };
		struct store_release known, release;
		char tag[32];
		struct store_source source = { tag, "", &manifest, &known.layer, NULL, 0, NULL };
		struct err err;
		double start;

		(void)snprintf(tag, sizeof(tag), "5.0.%u", i);
		(void)snprintf((char *)manifest.bytes, 32, "new %u", i);
		if (store_release_find(store, "4.5.0", &known, &err))
			fail("4.5.0", &err);
		start = now_ms();
		if (store_republish(store, &source, &release, &err))
			fail(tag, &err);
		(void)printf("%.1f\n", now_ms() - start);
		if (store_remove(store, &(const char *){ tag }, 1, &err))
			fail(tag, &err);
	}
	store_close(store);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "make"))
		return make(argv[2], (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
	if (argc == 3 && !strcmp(argv[1], "load"))
		return load(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "publish"))
		return publish(argv[2], (unsigned)atoi(argv[3]));
	(void)fputs("usage: store_driver make DIR FILES RELEASES | load DIR | publish DIR TIMES\n",
	            stderr);
	return 2;
}
