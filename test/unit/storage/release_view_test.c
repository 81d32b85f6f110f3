/* Views of single releases. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "harness.h"

/* A release of the current view, copied. */
static struct store_release release_of(struct fixture *f, const char *tag)
{
	struct store_view *view = store_view_get(f->store);
	struct store_release found = { .tag = "" };

	for (size_t i = 0; i < store_view_release_count(view); i++)
		if (!strcmp(store_view_release(view, i)->tag, tag))
			found = *store_view_release(view, i);
	store_view_put(view);
	assert_string_equal(found.tag, tag);
	return found;
}

static struct store_view *load(struct fixture *f, const struct store_release *release)
{
	struct err err = { .msg = "" };
	struct store_view *view = store_release_view_load(f->store, release, &err);

	if (!view)
		fail_msg("%s", err.msg);
	return view;
}

static void check_file(struct fixture *f, struct store_view *view, const char *path,
                       const char *text)
{
	const struct store_entry *entry = store_view_find(view, path, strlen(path));
	struct store_content content;
	struct err err;

	if (!text) {
		assert_null(entry);
		return;
	}
	assert_non_null(entry);
	assert_int_equal(store_content_open(f->store, entry, &content, &err), 0);
	assert_int_equal(entry->size, strlen(text));
	assert_memory_equal(content.bytes, text, entry->size);
	store_content_release(&content);
}

static void a_release_has_what_lies_below_another(void **state)
{
	struct fixture *f = *state;
	struct store_release base, newer;
	struct store_view *one, *two;
	struct err err;

	assert_int_equal(publish(f, "0.0.0", base_items, &err), 0);
	assert_int_equal(publish(f, "1.0.0", newer_items, &err), 0);
	base = release_of(f, "0.0.0");
	newer = release_of(f, "1.0.0");
	assert_null(store_release_view_get(f->store, &base));
	one = load(f, &base);
	two = load(f, &newer);
	assert_int_equal(store_view_release_count(one), 1);
	assert_string_equal(store_view_release(one, 0)->tag, "0.0.0");
	check_file(f, one, "roar/versions.yaml", "base");
	check_file(f, two, "roar/versions.yaml", "newer");
	check_file(f, one, "roar/only-base", "old");
	check_file(f, two, "roar/only-base", NULL);
	assert_ptr_equal(store_release_view_get(f->store, &base), one);
	store_view_put(one);
	store_view_put(one);
	store_view_put(two);
}

/* However many ask for a release, and whatever others are asked for meanwhile. */
static void a_release_that_is_held_is_not_read_again(void **state)
{
	enum { OTHERS = 8 }; /* so many are kept */
	struct fixture *f = *state;
	struct store_release base;
	struct store_view *one, *two;
	struct err err;

	assert_int_equal(publish(f, "0.0.0", base_items, &err), 0);
	for (int i = 0; i < OTHERS; i++) {
		char tag[16];

		(void)snprintf(tag, sizeof(tag), "1.0.%d", i);
		assert_int_equal(publish(f, tag, newer_items, &err), 0);
	}
	base = release_of(f, "0.0.0");
	one = load(f, &base);
	two = load(f, &base);
	assert_ptr_equal(one, two);
	store_view_put(two);
	for (int i = 0; i < OTHERS; i++) {
		struct store_release other;
		char tag[16];

		(void)snprintf(tag, sizeof(tag), "1.0.%d", i);
		other = release_of(f, tag);
		store_view_put(load(f, &other));
	}
	assert_null(store_release_view_get(f->store, &base));
	two = load(f, &base);
	assert_ptr_equal(one, two);
	check_file(f, two, "roar/versions.yaml", "base");
	store_view_put(one);
	store_view_put(two);
}

static void a_release_that_goes_is_kept_by_its_reader_alone(void **state)
{
	static const char *const gone[] = { "1.0.0" };
	struct fixture *f = *state;
	struct store_release release;
	struct store_view *view;
	uint64_t swept;
	struct err err;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	release = release_of(f, "1.0.0");
	view = load(f, &release);
	assert_int_equal(store_remove(f->store, gone, 1, &err), 0);
	assert_null(store_release_view_get(f->store, &release));
	assert_int_equal(store_collect(f->store, &swept, &err), 0);
	assert_int_equal(swept, 0);
	check_file(f, view, "roar/only-base", "old");
	store_view_put(view);
	assert_int_equal(store_collect(f->store, &swept, &err), 0);
	assert_true(swept > 0);
	assert_int_equal(count_in(f, "objects"), 0);
	assert_null(store_release_view_load(f->store, &release, &err));
	assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void a_release_that_was_replaced_is_another(void **state)
{
	struct fixture *f = *state;
	struct store_release before, after;
	struct store_view *view;
	struct err err;

	assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
	before = release_of(f, "1.0.0");
	store_view_put(load(f, &before));
	assert_int_equal(publish(f, "1.0.0", newer_items, &err), 0);
	after = release_of(f, "1.0.0");
	assert_null(store_release_view_get(f->store, &before));
	assert_null(store_release_view_get(f->store, &after));
	assert_null(store_release_view_load(f->store, &before, &err));
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	view = load(f, &after);
	check_file(f, view, "roar/versions.yaml", "newer");
	store_view_put(view);
}

static void a_few_are_kept(void **state)
{
	struct fixture *f = *state;
	struct store_release releases[12];
	unsigned kept = 0;
	struct err err;

	for (unsigned i = 0; i < 12; i++) {
		char tag[16];

		(void)snprintf(tag, sizeof(tag), "1.0.%u", i);
		assert_int_equal(publish(f, tag, base_items, &err), 0);
	}
	for (unsigned i = 0; i < 12; i++) {
		char tag[16];

		(void)snprintf(tag, sizeof(tag), "1.0.%u", i);
		releases[i] = release_of(f, tag);
		store_view_put(load(f, &releases[i]));
		/* The first one is in use all the time. */
		store_view_put(store_release_view_get(f->store, &releases[0]));
	}
	for (unsigned i = 0; i < 12; i++) {
		struct store_view *view = store_release_view_get(f->store, &releases[i]);

		kept += view != NULL;
		if (i == 0 || i == 11)
			assert_non_null(view);
		store_view_put(view);
	}
	assert_int_equal(kept, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_release_has_what_lies_below_another, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_release_that_is_held_is_not_read_again, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_release_that_goes_is_kept_by_its_reader_alone,
		                                setup, teardown),
		cmocka_unit_test_setup_teardown(a_release_that_was_replaced_is_another, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_few_are_kept, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
