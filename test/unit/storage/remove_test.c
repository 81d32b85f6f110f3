/* Taking releases away. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

static int remove_tag(struct fixture *f, const char *tag, struct err *err)
{
	return store_remove(f->store, &tag, 1, err);
}

static void removed_releases_uncover_older_ones(void **state)
{
	static const char *const two[] = { "4.5.15", "4.5.13" };
	struct fixture *f = *state;
	char id[80];
	struct store_view *view;
	uint64_t swept;
	struct err err;

	assert_int_equal(publish(f, "0.0.0", base_items, &err), 0);
	view = store_view_get(f->store);
	strcpy(id, store_view_id(view));
	store_view_put(view);
	assert_int_equal(publish(f, "4.5.13", newer_items, &err), 0);
	assert_int_equal(publish(f, "4.5.15", newer_items, &err), 0);
	assert_string_equal(look(f, "roar/versions.yaml"), "newer");
	assert_int_equal(store_remove(f->store, two, 2, &err), 0);
	for (int restart = 0; restart < 2; restart++) {
		assert_string_equal(look(f, "roar/versions.yaml"), "base");
		assert_int_equal(count_in(f, "releases"), 1);
		view = store_view_get(f->store);
		assert_string_equal(store_view_id(view), id);
		store_view_put(view);
		assert_int_equal(store_collect(f->store, &swept, &err), 0);
		assert_int_equal(swept, restart ? 0 : 1);
		store_close(f->store);
		open_store(f);
	}
	/* The last one as well: nothing is served then. */
	assert_int_equal(remove_tag(f, "0.0.0", &err), 0);
	assert_string_equal(look(f, "roar"), "<none>");
	assert_int_equal(store_collect(f->store, &swept, &err), 0);
	assert_int_equal(count_in(f, "objects"), 0);
}

static void a_held_view_outlives_its_release(void **state)
{
	struct fixture *f = *state;
	struct store_view *view;
	const struct store_entry *entry;
	struct store_content content;
	uint64_t swept;
	struct err err;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	view = store_view_get(f->store);
	assert_int_equal(remove_tag(f, "1.0.0", &err), 0);
	assert_int_equal(store_collect(f->store, &swept, &err), 0);
	assert_int_equal(swept, 0);
	entry = store_view_find(view, "roar/only-base", 14);
	assert_non_null(entry);
	assert_int_equal(store_content_open(f->store, entry, &content, &err), 0);
	assert_memory_equal(content.bytes, "old", 3);
	store_content_release(&content);
	store_view_put(view);
	assert_int_equal(store_collect(f->store, &swept, &err), 0);
	assert_int_equal(swept, 4);
}

static void what_can_not_be_removed(void **state)
{
	static const char *const tags[] = { "2.0.0", "1.0.0", "3.0.0" };
	struct fixture *f = *state;
	struct store_view *view, *after;
	struct store_release release;
	char path[96];
	struct err err;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	view = store_view_get(f->store);
	/* A tag that is not there is no error, and no reason for another view. */
	assert_int_equal(remove_tag(f, "9.9.9", &err), 0);
	after = store_view_get(f->store);
	assert_ptr_equal(after, view);
	store_view_put(after);
	store_view_put(view);
	assert_int_equal(remove_tag(f, "../format", &err), -1);
	assert_int_equal(err.kind, ERR_FORMAT);
	/* An error half-way: what went before it is gone, from the view as well. */
	assert_int_equal(publish(f, "2.0.0", newer_items, &err), 0);
	assert_int_equal(publish(f, "3.0.0", newer_items, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/releases/1.0.0.mtree", f->dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0750), 0);
	assert_int_equal(store_remove(f->store, tags, 3, &err), -1);
	assert_int_equal(err.kind, ERR_IO);
	assert_non_null(strstr(err.msg, "releases/1.0.0.mtree"));
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(store_release_find(f->store, "3.0.0", &release, &err), 0);
	assert_int_equal(store_release_find(f->store, "2.0.0", &release, &err), -1);
	assert_string_equal(look(f, "roar/only-base"), "<none>");
	assert_string_equal(look(f, "roar/versions.yaml"), "newer");
}

static void a_damaged_release_can_be_removed(void **state)
{
	struct fixture *f = *state;
	char path[96];
	uint64_t swept;
	struct err err;
	char **tags;
	size_t count;
	int fd;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	assert_int_equal(publish(f, "2.0.0", newer_items, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/releases/2.0.0.mtree", f->dir);
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	close(fd);
	store_close(f->store);
	open_store(f);
	assert_int_equal(f->events[STORE_RELEASE_BROKEN], 1);
	assert_int_equal(store_tags(f->store, &tags, &count, &err), 0);
	assert_int_equal(count, 2);
	assert_string_equal(tags[1], "2.0.0");
	store_tags_free(tags, count);
	assert_int_equal(remove_tag(f, "2.0.0", &err), 0);
	assert_int_equal(store_collect(f->store, &swept, &err), 0);
	assert_int_equal(swept, 1);
	assert_string_equal(look(f, "roar/versions.yaml"), "base");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(removed_releases_uncover_older_ones, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_held_view_outlives_its_release, setup, teardown),
		cmocka_unit_test_setup_teardown(what_can_not_be_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_release_can_be_removed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
