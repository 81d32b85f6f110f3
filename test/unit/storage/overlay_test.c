/* Laying releases over one another: what wins, in which order, and by every way there. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "storage/layout.h"
#include "storage/release.h"
#include "storage/storage.h"
#include "storage/store.h"

enum { PATHS = 4096 };

struct fixture {
	char dir[64];
	unsigned conflicts, reserved, broken;
	char conflict[128]; /* the last one: "path tag" */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/specman-overlay-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[96];

	(void)snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void empty(struct fixture *f)
{
	char command[120];

	(void)snprintf(command, sizeof(command), "rm -rf %s/*", f->dir);
	assert_int_equal(system(command), 0);
	f->conflicts = f->reserved = f->broken = 0;
}

static void on_event(void *ctx, enum store_event_kind kind, const char *subject, const char *detail)
{
	struct fixture *f = ctx;

	f->conflicts += kind == STORE_OVERLAY_CONFLICT;
	f->reserved += kind == STORE_RESERVED_NAME;
	f->broken += kind == STORE_RELEASE_BROKEN;
	if (kind == STORE_OVERLAY_CONFLICT)
		(void)snprintf(f->conflict, sizeof(f->conflict), "%.60s %.60s", subject, detail);
}

/* "a/b c/ …": files, and folders with a slash at their end. No objects are made. */
static void write_into(const struct layout *layout, const char *tag, int64_t seen_ms,
                       const char *paths)
{
	struct store_release info = { .manifest = { .algorithm = DIGEST_SHA256 },
		                      .layer = { .algorithm = DIGEST_SHA256 },
		                      .seen_ms = seen_ms };
	struct err err;
	struct tree *tree = tree_new(PATHS, &err);
	char text[1024], *rest = text;
	bool replaced;

	(void)snprintf(text, sizeof(text), "%s", paths);
	(void)snprintf(info.tag, sizeof(info.tag), "%s", tag);
	for (char *path; (path = strsep(&rest, " "));) {
		size_t length = strlen(path);
		struct tree_item item = { .kind = TREE_FILE, .mode = 0644 };

		if (!length)
			continue;
		if (path[length - 1] == '/') {
			path[length - 1] = '\0';
			item.kind = TREE_FOLDER;
		}
		/* The size tells which release a file is from. */
		item.size = (uint64_t)seen_ms;
		item.content.algorithm = DIGEST_SHA256;
		item.content.bytes[0] = 1;
		assert_int_equal(tree_put(tree, path, &item, TREE_STRICT, &replaced, &err), 0);
	}
	assert_int_equal(release_write(layout, tree, &info, &err), 0);
	tree_free(tree);
}

static void write_release(struct fixture *f, const char *tag, int64_t seen_ms, const char *paths)
{
	struct layout layout;
	struct err err;

	assert_int_equal(layout_open(f->dir, &layout, &err), 0);
	write_into(&layout, tag, seen_ms, paths);
	layout_close(&layout);
}

static struct store *open_with(struct fixture *f, enum store_overlay overlay)
{
	const struct store_settings settings = { .dir = f->dir,
		                                 .limits = store_default_limits,
		                                 .overlay = overlay,
		                                 .observer = on_event,
		                                 .observer_ctx = f };
	struct err err = { .msg = "" };
	struct store *store = store_open(&settings, &err);

	if (!store)
		fail_msg("%s", err.msg);
	return store;
}

/* "path=tag" of each file and "path/" of each folder, in order. */
static void describe(const struct store_view *view, const struct store_entry *folder,
                     const char *path, char *text, size_t size)
{
	for (uint32_t i = 0; i < folder->child_count; i++) {
		const struct store_entry *child = store_view_child(view, folder, i);
		char below[256];
		size_t length = strlen(text);

		(void)snprintf(below, sizeof(below), "%s%s%s", path, *path ? "/" : "", child->name);
		assert_ptr_equal(store_view_find(view, below, strlen(below)), child);
		(void)snprintf(text + length, size - length, "%s%s%s%s", length ? " " : "", below,
		               child->is_folder ? "/" : "=",
		               child->is_folder ? ""
		                                : store_view_release(view, child->release)->tag);
		describe(view, child, below, text, size);
	}
}

static const char *served(struct store *store)
{
	static char text[16384];
	struct store_view *view = store_view_get(store);

	text[0] = '\0';
	describe(view, store_view_find(view, "", 0), "", text, sizeof(text));
	store_view_put(view);
	return text;
}

/* A release: "tag paths". The time it was first seen is its place in the list. */
struct laying {
	enum store_overlay overlay;
	const char *releases[5];
	const char *served;
	unsigned conflicts;
};

static const struct laying cases[] = {
	{ STORE_OVERLAY_SEMVER, { NULL }, "", 0 },
	/* Equal paths; the base fills in. */
	{ STORE_OVERLAY_SEMVER,
	  { "4.5.15 r/v r/15", "0.0.0 r/v r/0 own", "4.5.9 r/v r/9" },
	  "own=0.0.0 r/ r/0=0.0.0 r/15=4.5.15 r/9=4.5.9 r/v=4.5.15",
	  0 },
	/* Tags that are no versions lie below, in byte order. */
	{ STORE_OVERLAY_SEMVER, { "b x y", "a x y z", "0.0.0 x" }, "x=0.0.0 y=b z=a", 0 },
	{ STORE_OVERLAY_SEMVER, { "1.0.0-rc.1 x", "1.0.0 x", "v0.9 x" }, "x=1.0.0", 0 },
	/* Siblings whose names begin alike, around the slash. */
	{ STORE_OVERLAY_SEMVER,
	  { "1.0.0 a/x a.b a-c", "2.0.0 a/y a+ a0" },
	  "a/ a/x=1.0.0 a/y=2.0.0 a+=2.0.0 a-c=1.0.0 a.b=1.0.0 a0=2.0.0",
	  0 },
	/* A file over a folder, and the other way round. */
	{ STORE_OVERLAY_SEMVER, { "1.0.0 x/y x/z k", "2.0.0 x" }, "k=1.0.0 x=2.0.0", 1 },
	{ STORE_OVERLAY_SEMVER, { "1.0.0 x k", "2.0.0 x/y" }, "k=1.0.0 x/ x/y=2.0.0", 1 },
	{ STORE_OVERLAY_SEMVER, { "1.0.0 x k", "2.0.0 x/" }, "k=1.0.0 x/", 1 },
	/* What a file in between has hidden stays hidden. */
	{ STORE_OVERLAY_SEMVER,
	  { "1.0.0 x/old x/d/e", "2.0.0 x", "3.0.0 x/new" },
	  "x/ x/new=3.0.0",
	  1 },
	{ STORE_OVERLAY_SEMVER,
	  { "1.0.0 x/a/1", "2.0.0 x/a", "3.0.0 x/a/3", "4.0.0 x/b" },
	  "x/ x/a/ x/a/3=3.0.0 x/b=4.0.0",
	  1 },
	{ STORE_OVERLAY_SEMVER,
	  { "1.0.0 x", "2.0.0 x/a/b", "3.0.0 x/a", "4.0.0 y" },
	  "x/ x/a=3.0.0 y=4.0.0",
	  2 },
	{ STORE_OVERLAY_SEMVER,
	  { "1.0.0 x/a/b", "2.0.0 x/a", "3.0.0 x", "4.0.0 x/a/c" },
	  "x/ x/a/ x/a/c=4.0.0",
	  1 },
	/* The server's own names. */
	{ STORE_OVERLAY_SEMVER, { "1.0.0 .specman/x a .specmanx" }, ".specmanx=1.0.0 a=1.0.0", 0 },
	{ STORE_OVERLAY_SEMVER, { "1.0.0 .specman a/.specman" }, "a/ a/.specman=1.0.0", 0 },
	/* By when they were seen, whatever their versions are. */
	{ STORE_OVERLAY_PUSHED,
	  { "4.5.15 v 15", "0.0.0 v 0", "4.5.9 v 9" },
	  "0=0.0.0 15=4.5.15 9=4.5.9 v=4.5.9",
	  0 },
	{ STORE_OVERLAY_PUSHED, { "9.0.0 x", "1.0.0 x/y" }, "x/ x/y=1.0.0", 1 },
	/* The newest version alone. */
	{ STORE_OVERLAY_SINGLE,
	  { "4.5.15 v 15", "0.0.0 v 0", "4.5.9 v 9" },
	  "15=4.5.15 v=4.5.15",
	  0 },
	{ STORE_OVERLAY_SINGLE, { "latest v", "0.0.0 own" }, "own=0.0.0", 0 },
	{ STORE_OVERLAY_SINGLE, { "a v", "b w" }, "w=b", 0 },
	{ STORE_OVERLAY_SINGLE, { NULL }, "", 0 },
};

static void the_newest_wins(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store *store;

		empty(f);
		for (int64_t j = 0; j < 5 && cases[i].releases[j]; j++) {
			char tag[32];
			size_t length = strcspn(cases[i].releases[j], " ");

			(void)snprintf(tag, sizeof(tag), "%.*s", (int)length, cases[i].releases[j]);
			write_release(f, tag, j + 1, cases[i].releases[j] + length);
		}
		store = open_with(f, cases[i].overlay);
		if (strcmp(served(store), cases[i].served) != 0)
			fail_msg("case %zu: %s", i, served(store));
		if (f->conflicts != cases[i].conflicts)
			fail_msg("case %zu: %u conflicts", i, f->conflicts);
		store_close(store);
	}
}

static void what_is_told(void **state)
{
	struct fixture *f = *state;
	struct store *store;

	write_release(f, "1.0.0", 1, "x/y .specman/a");
	write_release(f, "2.0.0", 2, "x .specman/b .specman/c");
	store = open_with(f, STORE_OVERLAY_SEMVER);
	assert_string_equal(f->conflict, "x 2.0.0");
	assert_int_equal(f->conflicts, 1);
	assert_int_equal(f->reserved, 2);
	store_close(store);
}

static void break_release(struct fixture *f, const char *tag)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/releases/%s.mtree", f->dir, tag);
	assert_int_equal(truncate(path, 100), 0);
}

static void a_damaged_release_gives_way(void **state)
{
	struct fixture *f = *state;
	struct store *store;

	write_release(f, "1.0.0", 1, "a one");
	write_release(f, "2.0.0", 2, "a two");
	write_release(f, "3.0.0", 3, "a three");
	break_release(f, "3.0.0");
	for (int overlay = STORE_OVERLAY_SEMVER; overlay <= STORE_OVERLAY_SINGLE; overlay++) {
		f->broken = 0;
		store = open_with(f, (enum store_overlay)overlay);
		assert_string_equal(served(store), overlay == STORE_OVERLAY_SINGLE
		                                           ? "a=2.0.0 two=2.0.0"
		                                           : "a=2.0.0 one=1.0.0 two=2.0.0");
		assert_int_equal(f->broken, 1);
		store_close(store);
	}
	break_release(f, "1.0.0");
	break_release(f, "2.0.0");
	store = open_with(f, STORE_OVERLAY_SINGLE);
	assert_string_equal(served(store), "");
	store_close(store);
}

static void more_than_are_merged_at_once(void **state)
{
	struct fixture *f = *state;
	struct store *store;
	struct store_view *view;

	for (int i = 0; i < 140; i++) {
		char tag[16], paths[80];

		(void)snprintf(tag, sizeof(tag), "1.0.%d", i);
		(void)snprintf(paths, sizeof(paths), i == 70 ? "all own/%d x" : "all own/%d x/%d",
		               i, i);
		write_release(f, tag, i + 1, paths);
	}
	store = open_with(f, STORE_OVERLAY_SEMVER);
	view = store_view_get(store);
	assert_int_equal(store_view_release_count(view), 140);
	assert_int_equal(store_view_find(view, "own", 3)->child_count, 140);
	assert_int_equal(store_view_find(view, "x", 1)->child_count, 69);
	assert_int_equal(store_view_find(view, "all", 3)->release, 139);
	for (int i = 0; i < 140; i++) {
		char path[16];
		const struct store_entry *entry;

		(void)snprintf(path, sizeof(path), "own/%d", i);
		entry = store_view_find(view, path, strlen(path));
		assert_non_null(entry);
		assert_int_equal(entry->release, i);
		assert_int_equal(entry->size, i + 1);
	}
	assert_int_equal(f->conflicts, 1);
	store_view_put(view);
	store_close(store);
}

/* ---- against a model: one release unpacked after the other ---- */

struct model {
	char paths[64][32]; /* folders with a slash at their end */
	int release[64];
	size_t count;
};

static void forget(struct model *model, size_t at)
{
	model->count--;
	memcpy(model->paths[at], model->paths[model->count], sizeof(model->paths[at]));
	model->release[at] = model->release[model->count];
}

static void put(struct model *model, const char *path, int release)
{
	size_t length = strlen(path);
	bool is_folder = path[length - 1] == '/';
	size_t bare = is_folder ? length - 1 : length;

	for (size_t i = model->count; i-- > 0;) {
		const char *other = model->paths[i];
		bool is_same = !strncmp(other, path, bare) &&
		               (!other[bare] || !strcmp(other + bare, "/"));
		bool is_below = !strncmp(other, path, bare) && other[bare] == '/' &&
		                other[bare + 1];

		if (is_same || (is_below && !is_folder))
			forget(model, i);
	}
	(void)snprintf(model->paths[model->count], sizeof(model->paths[0]), "%s", path);
	model->release[model->count++] = release;
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The words of a text, sorted, in place of the order in which they stood. */
static void sort_words(const char *text, char *out, size_t size)
{
	char copy[16384], *words[256], *rest = copy;
	size_t count = 0;

	(void)snprintf(copy, sizeof(copy), "%s", text);
	for (char *word; (word = strsep(&rest, " "));)
		words[count++] = word;
	qsort(words, count, sizeof(words[0]), compare_words);
	*out = '\0';
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(out);

		(void)snprintf(out + length, size - length, "%s ", words[i]);
	}
}

/* A release of a few random paths out of few names, parents first. */
static void random_release(unsigned *seed, char *paths, size_t size)
{
	static const char *const shapes[][3] = {
		{ "a", "", "" },      { "a/", "a/b", "" },       { "a/", "a/b/", "a/b/c" },
		{ "a/", "a/b/", "" }, { "b", "", "" },           { "b/", "b/a", "" },
		{ "a.x", "", "" },    { "b/", "b/a/", "b/a/d" }, { "c/", "", "" },
		{ "a/", "a/c", "" },
	};
	char before[8][32] = { "" };
	size_t placed = 0;

	*paths = '\0';
	for (int i = 0; i < 3; i++) {
		const char *const *shape = shapes[(unsigned)rand_r(seed) % 10];
		bool contradicts = false;

		/* No release contradicts itself. */
		for (int j = 0; j < 3 && *shape[j]; j++)
			for (size_t k = 0; k < placed; k++) {
				size_t bare = strlen(before[k]);

				bare -= before[k][bare - 1] == '/';
				contradicts |= !strncmp(before[k], shape[j], bare) &&
				               strlen(shape[j]) <= bare + 1 &&
				               strcmp(before[k], shape[j]) != 0 &&
				               (!shape[j][bare] || shape[j][bare] == '/');
			}
		if (contradicts)
			continue;
		for (int j = 0; j < 3 && *shape[j]; j++) {
			size_t length = strlen(paths);

			(void)snprintf(paths + length, size - length, " %s", shape[j]);
			(void)snprintf(before[placed++ % 8], sizeof(before[0]), "%s", shape[j]);
		}
	}
}

static void check_against(struct store *store, const struct model *model, unsigned round)
{
	char text[8192] = "", expected[8192], found[8192];

	for (size_t i = 0; i < model->count; i++) {
		size_t length = strlen(text);
		bool is_folder = model->paths[i][strlen(model->paths[i]) - 1] == '/';

		(void)snprintf(text + length, sizeof(text) - length, "%s%s", length ? " " : "",
		               model->paths[i]);
		length = strlen(text);
		if (!is_folder)
			(void)snprintf(text + length, sizeof(text) - length, "=1.0.%d",
			               model->release[i]);
	}
	sort_words(text, expected, sizeof(expected));
	sort_words(served(store), found, sizeof(found));
	if (strcmp(expected, found) != 0)
		fail_msg("round %u: expected %s\nfound %s", round, expected, found);
}

static void lay_model(struct model *model, int release, const char *paths)
{
	CLEANUP(cleanup_free) char *text = strdup(paths);
	char *rest = text;

	for (char *path; (path = strsep(&rest, " "));)
		if (*path)
			put(model, path, release);
}

/* Releases come in any order: on top of the others, or below them. */
static void any_releases_are_as_if_unpacked_in_order(void **state)
{
	struct fixture *f = *state;
	unsigned seed = 20241206;

	for (unsigned round = 0; round < 30; round++) {
		char paths[5][512] = { "" };
		bool is_there[5] = { false };
		struct store *store;
		struct err err;

		empty(f);
		store = open_with(f, STORE_OVERLAY_SEMVER);
		for (int i = 0; i < 5; i++) {
			struct model model = { .count = 0 };
			int number = rand_r(&seed) % 5;
			char tag[16];

			(void)snprintf(tag, sizeof(tag), "1.0.%d", number);
			random_release(&seed, paths[number], sizeof(paths[number]));
			is_there[number] = true;
			write_into(&store->layout, tag, number, paths[number]);
			assert_int_equal(overlay_publish(store, &err), 0);
			for (int j = 0; j < 5; j++)
				if (is_there[j])
					lay_model(&model, j, paths[j]);
			check_against(store, &model, round);
		}
		store_close(store);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_newest_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_release_gives_way, setup, teardown),
		cmocka_unit_test_setup_teardown(more_than_are_merged_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(any_releases_are_as_if_unpacked_in_order, setup,
		                                teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
