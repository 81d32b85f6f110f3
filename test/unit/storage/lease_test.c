/* Views that can be had by their names after they were replaced. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

enum { LONG_MS = 60 * 60 * 1000 };

struct name {
	char id[STORE_VIEW_ID_SIZE];
};

static struct name current(struct fixture *f)
{
	struct store_view *view = store_view_get(f->store);
	struct name name;

	assert_int_equal(strlen(store_view_id(view)), STORE_VIEW_ID_SIZE - 1);
	strcpy(name.id, store_view_id(view));
	store_view_put(view);
	return name;
}

static void publish_well(struct fixture *f, const char *tag, const struct item *items)
{
	struct err err = { .msg = "" };

	if (publish(f, tag, items, &err))
		fail_msg("%s", err.msg);
}

static void drop(struct fixture *f, const char *tag)
{
	uint64_t swept;
	struct err err = { .msg = "" };

	if (store_remove(f->store, &tag, 1, &err) || store_collect(f->store, &swept, &err))
		fail_msg("%s", err.msg);
}

/* The text of a file in the view with this name; "<gone>", "<unknown>", "<none>". */
static const char *look_in(struct fixture *f, const struct name *name, const char *path)
{
	static char text[256];
	bool is_gone = false;
	struct store_view *view = store_view_named(f->store, name->id, &is_gone);
	const struct store_entry *entry;
	struct store_content content;
	struct err err = { .msg = "" };

	if (!view)
		return is_gone ? "<gone>" : "<unknown>";
	entry = store_view_find(view, path, strlen(path));
	if (!entry) {
		strcpy(text, "<none>");
	} else {
		if (store_content_open(f->store, entry, &content, &err))
			fail_msg("%s", err.msg);
		memcpy(text, content.bytes, entry->size);
		text[entry->size] = '\0';
		store_content_release(&content);
	}
	store_view_put(view);
	return text;
}

static size_t count_views(struct fixture *f)
{
	struct store_view_times views[STORE_VIEWS_MAX];

	return store_views(f->store, views);
}

static void what_was_replaced_is_there_until_its_time_is_over(void **state)
{
	struct fixture *f = *state;
	struct name first, second;
	uint64_t swept;
	struct err err;

	store_keep_views(f->store, LONG_MS);
	publish_well(f, "1.0.0", base_items);
	first = current(f);
	assert_string_equal(look_in(f, &first, "roar/only-base"), "old");
	publish_well(f, "1.0.0", newer_items); /* and swept */
	second = current(f);
	assert_string_not_equal(first.id, second.id);
	assert_string_equal(look_in(f, &first, "roar/versions.yaml"), "base");
	assert_string_equal(look_in(f, &first, "roar/only-base"), "old");
	assert_string_equal(look_in(f, &second, "roar/versions.yaml"), "newer");
	assert_string_equal(look_in(f, &second, "roar/only-base"), "<none>");
	assert_false(store_expire_views(f->store));
	assert_int_equal(count_in(f, "objects"), 5);
	assert_int_equal(count_views(f), 2);

	/* What comes now goes at once, and what was there stays for its time. */
	store_keep_views(f->store, 0);
	publish_well(f, "1.0.1", newer_items);
	assert_string_equal(look_in(f, &second, "roar/versions.yaml"), "<unknown>");
	assert_string_equal(look_in(f, &first, "roar/only-base"), "old");
	store_close(f->store);
	open_store(f);
	assert_string_equal(look_in(f, &first, "roar/only-base"), "<unknown>");
	assert_int_equal(store_collect(f->store, &swept, &err), 0);
	assert_int_equal(swept, 4);
}

static void wait_gone(struct fixture *f, const struct name *name)
{
	while (strcmp(look_in(f, name, "roar/versions.yaml"), "<gone>") != 0) {
	}
}

static void its_objects_are_swept_then(void **state)
{
	struct fixture *f = *state;
	struct name first;
	uint64_t swept;
	struct err err;

	publish_well(f, "1.0.0", base_items);
	first = current(f);
	store_keep_views(f->store, 200);
	publish_well(f, "1.0.0", newer_items);
	wait_gone(f, &first);
	/* The sweep of publishing may have come before or after its end. */
	if (store_expire_views(f->store)) {
		assert_int_equal(store_collect(f->store, &swept, &err), 0);
		assert_int_equal(swept, 4);
	}
	assert_int_equal(count_in(f, "objects"), 1);
	assert_false(store_expire_views(f->store));
	assert_int_equal(count_views(f), 1);
	assert_string_equal(look_in(f, &first, "x"), "<gone>");

	/* What was only laid over is named by its release still: nothing is to be swept. */
	first = current(f);
	publish_well(f, "2.0.0", base_items);
	wait_gone(f, &first);
	assert_false(store_expire_views(f->store));
	assert_int_equal(f->events[STORE_VIEWS_GIVEN_UP], 0);
}

static void what_a_reader_held_is_swept_when_it_ends(void **state)
{
	struct fixture *f = *state;
	struct store_view *view;
	uint64_t swept;
	struct err err;

	publish_well(f, "1.0.0", base_items);
	view = store_view_get(f->store);
	publish_well(f, "1.0.0", newer_items);
	assert_false(store_expire_views(f->store));
	assert_int_equal(count_in(f, "objects"), 5);
	store_view_put(view);
	assert_true(store_expire_views(f->store));
	assert_int_equal(store_collect(f->store, &swept, &err), 0);
	assert_int_equal(swept, 4);
	assert_false(store_expire_views(f->store));
}

static void a_view_that_comes_back_is_the_current_one(void **state)
{
	struct fixture *f = *state;
	struct name base, both;
	struct store_view_times views[STORE_VIEWS_MAX];

	store_keep_views(f->store, LONG_MS);
	publish_well(f, "1.0.0", base_items);
	base = current(f);
	publish_well(f, "2.0.0", newer_items);
	both = current(f);
	drop(f, "2.0.0");
	assert_string_equal(current(f).id, base.id);
	assert_int_equal(store_views(f->store, views), 2);
	assert_string_equal(views[0].id, both.id);
	assert_int_equal(views[0].until_ms - views[1].since_ms, LONG_MS);
	assert_true(views[0].since_ms <= views[1].since_ms);
	assert_string_equal(views[1].id, base.id);
	assert_int_equal(views[1].until_ms, 0);
	assert_string_equal(look_in(f, &both, "roar/versions.yaml"), "newer");
	/* The same releases, read anew: nothing was replaced. */
	store_close(f->store);
	open_store(f);
	assert_string_equal(current(f).id, base.id);
}

static void what_is_too_many_goes_the_oldest_first(void **state)
{
	struct fixture *f = *state;
	struct name names[STORE_VIEWS_MAX + 3];
	size_t count = sizeof(names) / sizeof(names[0]);

	store_keep_views(f->store, LONG_MS);
	for (size_t i = 0; i < count; i++) {
		publish_well(f, "1.0.0", i % 2 ? base_items : newer_items);
		names[i] = current(f);
	}
	assert_int_equal(count_views(f), STORE_VIEWS_MAX);
	assert_int_equal(f->events[STORE_VIEWS_GIVEN_UP], 3);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(look_in(f, &names[i], "roar/versions.yaml"), i < 3   ? "<gone>"
		                                                                 : i % 2 ? "base"
		                                                                         : "newer");
}

enum { MANY = 20 * 1000, TIMES = 15 };

static void open_large(struct fixture *f)
{
	const struct store_settings settings = { .dir = f->dir,
		                                 .limits = store_default_limits,
		                                 .observer = count_event,
		                                 .observer_ctx = f };
	struct err err = { .msg = "" };

	store_close(f->store);
	f->store = store_open(&settings, &err);
	if (!f->store)
		fail_msg("%s", err.msg);
}

/* The release that is there, by another manifest. */
static void publish_again(struct fixture *f, const struct store_release *release)
{
	struct store_release unneeded;
	struct digest manifest;
	struct err err = { .msg = "" };

	f->serial++;
	assert_int_equal(digest_of(DIGEST_SHA256, &f->serial, sizeof(f->serial), &manifest, &err),
	                 0);
	if (store_republish(f->store,
	                    &(struct store_source){ .tag = release->tag,
	                                            .created = release->created,
	                                            .manifest = &manifest,
	                                            .layer = &release->layer },
	                    &unneeded, &err))
		fail_msg("%s", err.msg);
}

/* Views of over 3 MB each come to 32 MiB sooner than to their number. */
static void what_is_too_large_goes_the_oldest_first(void **state)
{
	static char paths[MANY][16];
	static struct item items[MANY + 2];
	struct fixture *f = *state;
	struct name names[TIMES + 1];
	struct store_release release;
	struct err err;
	size_t count, gone = 0;

	items[0] = newer_items[0];
	for (size_t i = 0; i < MANY; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "file-%05zu", i);
		items[i + 1] = (struct item){ paths[i], AE_IFREG, "x", false };
	}
	open_large(f);
	store_keep_views(f->store, LONG_MS);
	publish_well(f, "1.0.0", items);
	assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), 0);
	for (size_t i = 0; i < TIMES; i++) {
		names[i] = current(f);
		publish_again(f, &release);
	}
	names[TIMES] = current(f);
	count = count_views(f);
	/* The current one and the last that was replaced are not counted. */
	assert_in_range(count, 2 + 8, 2 + 13);
	while (!strcmp(look_in(f, &names[gone], "roar/versions.yaml"), "<gone>"))
		gone++;
	assert_int_equal(gone, TIMES + 1 - count);
	for (size_t i = gone; i <= TIMES; i++)
		assert_string_equal(look_in(f, &names[i], "file-00007"), "x");
	assert_true(f->events[STORE_VIEWS_GIVEN_UP] > 0);
}

static void room_on_disk_counts_more(void **state)
{
	struct fixture *f = *state;
	struct store_download *download;
	struct digest layer;
	struct name first;
	struct err err;

	store_keep_views(f->store, LONG_MS);
	publish_well(f, "1.0.0", base_items);
	first = current(f);
	publish_well(f, "1.0.0", newer_items);
	assert_int_equal(count_in(f, "objects"), 5);
	assert_int_equal(digest_of(DIGEST_SHA256, "layer", 5, &layer, &err), 0);
	/* As soon as it may get tight nothing goes that is kept. */
	download = store_download_open(f->store, &layer, 1, &err);
	assert_non_null(download);
	store_download_free(download);
	assert_string_equal(look_in(f, &first, "roar/only-base"), "old");
	assert_null(store_download_open(f->store, &layer, UINT64_MAX / 32, &err));
	assert_int_equal(err.kind, ERR_NO_SPACE);
	assert_string_equal(look_in(f, &first, "roar/only-base"), "<gone>");
	assert_int_equal(f->events[STORE_VIEWS_GIVEN_UP], 1);
	assert_int_equal(count_in(f, "objects"), 1);
	assert_string_equal(look(f, "roar/versions.yaml"), "newer");
}

static void damage_of_what_is_only_kept_concerns_no_release(void **state)
{
	struct fixture *f = *state;
	struct store_release release;
	struct store_counters counters;
	struct store_view *view;
	const struct store_entry *entry;
	struct store_content content;
	struct digest digest;
	struct name first;
	char path[256], hex[DIGEST_TEXT_SIZE];
	bool is_gone;
	struct err err;

	store_keep_views(f->store, LONG_MS);
	publish_well(f, "1.0.0", base_items);
	first = current(f);
	publish_well(f, "1.0.0", newer_items);
	view = store_view_named(f->store, first.id, &is_gone);
	assert_non_null(view);
	entry = store_view_find(view, "roar/only-base", 14);
	assert_non_null(entry);
	digest = store_content_digest(entry);
	(void)digest_hex(&digest, hex);
	(void)snprintf(path, sizeof(path), "%s/objects/%.2s/%s", f->dir, hex, hex + 2);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(store_content_open(f->store, entry, &content, &err), -1);
	assert_int_equal(err.kind, ERR_DIGEST);
	store_view_put(view);
	store_count(f->store, &counters);
	assert_int_equal(counters.damaged, 1);
	assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), 0);
	/* Room ends it; then nothing is damaged any more. */
	assert_int_equal(digest_of(DIGEST_SHA256, "layer", 5, &digest, &err), 0);
	assert_null(store_download_open(f->store, &digest, UINT64_MAX / 32, &err));
	store_count(f->store, &counters);
	assert_int_equal(counters.damaged, 0);
}

/* ---- threads ---- */

struct walk {
	struct fixture *f;
	atomic_bool is_over;
	atomic_uint walks;
};

/* Begin with the current view, and find all of it by its name. */
static void *walk(void *ctx)
{
	struct walk *walk = ctx;

	while (!atomic_load(&walk->is_over)) {
		struct store_view_times views[STORE_VIEWS_MAX];
		size_t count = store_views(walk->f->store, views);
		struct store_view *view;
		bool is_gone;

		assert_true(count >= 1 && count <= STORE_VIEWS_MAX);
		view = store_view_named(walk->f->store, views[count - 1].id, &is_gone);
		assert_non_null(view);
		assert_string_equal(store_view_id(view), views[count - 1].id);
		assert_non_null(store_view_find(view, "roar/versions.yaml", 18));
		store_view_put(view);
		atomic_fetch_add(&walk->walks, 1);
	}
	return NULL;
}

static void walks_while_views_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct walk shared = { .f = f };
	pthread_t threads[3];

	store_keep_views(f->store, LONG_MS);
	publish_well(f, "1.0.0", base_items);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, walk, &shared), 0);
	for (unsigned i = 0; i < 20 || atomic_load(&shared.walks) < 100; i++)
		publish_well(f, "1.0.0", i % 2 ? base_items : newer_items);
	atomic_store(&shared.is_over, true);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_replaced_is_there_until_its_time_is_over,
		                                setup, teardown),
		cmocka_unit_test_setup_teardown(its_objects_are_swept_then, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_reader_held_is_swept_when_it_ends, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_view_that_comes_back_is_the_current_one, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(what_is_too_many_goes_the_oldest_first, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(what_is_too_large_goes_the_oldest_first, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(room_on_disk_counts_more, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_of_what_is_only_kept_concerns_no_release,
		                                setup, teardown),
		cmocka_unit_test_setup_teardown(walks_while_views_come_and_go, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
