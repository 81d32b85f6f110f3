/* Trees: what hostile archives make of links and of names that come twice. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "storage/storage.h"
#include "storage/tree.h"

DEFINE_CLEANUP(cleanup_tree, struct tree, tree_free);

static struct tree *new_tree(void)
{
	struct err err;
	struct tree *tree = tree_new(10000, &err);

	assert_non_null(tree);
	return tree;
}

static void put(struct tree *tree, const char *path, enum tree_kind kind, const char *target)
{
	const struct tree_item item = { .kind = kind, .mode = 0644, .target = target };
	struct err err = { .msg = "" };

	if (tree_put(tree, path, &item, &err))
		fail_msg("%s: %s", path, err.msg);
}

/* A few kilobytes of an archive would take hundreds of megabytes. */
static void targets_of_links_are_bounded(void **state)
{
	enum { LENGTH = 4095, NODES = 10000, MAX = NODES * 128 + 128 + 64 * 1024 };
	CLEANUP(cleanup_tree) struct tree *tree = new_tree();
	struct tree_item item = { .kind = TREE_LINK };
	char target[LENGTH + 1], path[32];
	struct err err = { .msg = "" };
	unsigned count = 0;
	int failed;

	(void)state;
	memset(target, 'x', LENGTH);
	target[LENGTH] = '\0';
	item.target = target;
	/* One that takes the place of another adds nothing. */
	for (unsigned i = 0; i < NODES; i++)
		put(tree, "again", TREE_LINK, target);
	put(tree, "again", TREE_FOLDER, NULL);
	do {
		(void)snprintf(path, sizeof(path), "link-%u", count);
		failed = tree_put(tree, path, &item, &err);
	} while (!failed && ++count < NODES);
	assert_int_equal(failed, -1);
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_non_null(strstr(err.msg, path));
	assert_int_equal(count, MAX / (LENGTH + 1));
	/* Short ones may be as many as there is room for. */
	put(tree, "link-0", TREE_LINK, "short");
	put(tree, "another", TREE_LINK, "short");
}

/* Links 0 to count - 1, each of which leads twice through the next one, and the last to d. */
static void put_chain(struct tree *tree, int count)
{
	char name[16], target[48];

	put(tree, "d", TREE_FOLDER, NULL);
	for (int i = 0; i < count; i++) {
		(void)snprintf(name, sizeof(name), "l%d", i);
		(void)snprintf(target, sizeof(target), "l%d/../l%d", i + 1, i + 1);
		put(tree, name, TREE_LINK, i + 1 < count ? target : "d");
	}
}

/* Else the work would double with each link: 2^39 steps. Without an end, this test has none either.
 */
static void links_on_the_way_are_counted_in_all(void **state)
{
	CLEANUP(cleanup_tree) struct tree *tree = new_tree();
	struct err err;

	(void)state;
	put_chain(tree, 40);
	assert_int_equal(tree_resolve_links(tree, &store_default_limits, &err), -1);
	assert_int_equal(err.kind, ERR_FORMAT);
	assert_non_null(strstr(err.msg, "over 40 links"));
}

static void some_links_on_the_way_are_fine(void **state)
{
	CLEANUP(cleanup_tree) struct tree *tree = new_tree();
	struct err err = { .msg = "" };

	(void)state;
	put(tree, "d/file", TREE_FILE, NULL);
	put_chain(tree, 5);
	if (tree_resolve_links(tree, &store_default_limits, &err))
		fail_msg("%s", err.msg);
	assert_int_not_equal(tree_find(tree, "l0/file"), TREE_NONE);
}

/*
 * What stands behind a link is found from where the link leads, whatever has become of
 * the link by then: entries come in any order.
 */
static void what_is_above_a_link_is_above_its_target(void **state)
{
	static const char *const orders[][2] = { { "a", "b" }, { "b", "a" } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		CLEANUP(cleanup_tree) struct tree *tree = new_tree();
		struct err err = { .msg = "" };
		uint32_t node;

		put(tree, "d/e/file", TREE_FILE, NULL);
		put(tree, "d/f/right", TREE_FILE, NULL);
		put(tree, "f/wrong", TREE_FILE, NULL);
		for (size_t j = 0; j < 2; j++)
			put(tree, orders[i][j], TREE_LINK, *orders[i][j] == 'a' ? "d/e" : "a/../f");
		if (tree_resolve_links(tree, &store_default_limits, &err))
			fail_msg("%s", err.msg);
		node = tree_find(tree, "b/right");
		assert_int_not_equal(node, TREE_NONE);
		assert_int_equal(tree_find(tree, "b/wrong"), TREE_NONE);
		assert_int_not_equal(tree_find(tree, "a/file"), TREE_NONE);
	}
}

/* It keeps its place: to look for that among its siblings would take longer with each of them. */
static void a_name_that_changes_its_kind_stays_one_node(void **state)
{
	CLEANUP(cleanup_tree) struct tree *tree = new_tree();
	size_t count;

	(void)state;
	put(tree, "d/a", TREE_FILE, NULL);
	put(tree, "d/b", TREE_FILE, NULL);
	count = tree_count(tree);
	for (int i = 0; i < 5; i++) {
		put(tree, "d/a", TREE_FOLDER, NULL);
		assert_int_equal(tree_item(tree, tree_find(tree, "d/a")).kind, TREE_FOLDER);
		put(tree, "d/a", TREE_FILE, NULL);
		assert_int_equal(tree_item(tree, tree_find(tree, "d/a")).kind, TREE_FILE);
	}
	put(tree, "d/a", TREE_FOLDER, NULL);
	assert_int_equal(tree_count(tree), count);
	put(tree, "d/a/below", TREE_FILE, NULL);
	assert_int_not_equal(tree_find(tree, "d/a/below"), TREE_NONE);
	assert_int_not_equal(tree_find(tree, "d/b"), TREE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_of_links_are_bounded),
		cmocka_unit_test(links_on_the_way_are_counted_in_all),
		cmocka_unit_test(some_links_on_the_way_are_fine),
		cmocka_unit_test(what_is_above_a_link_is_above_its_target),
		cmocka_unit_test(a_name_that_changes_its_kind_stays_one_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
