/* What an archive may cost: what is just within each limit, and one more. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { LARGE = 1 << 20 };

/* Open the store again, with these limits. */
static void limit_to(struct fixture *f, const struct store_limits *limits)
{
	struct store_settings settings = {
		.dir = f->dir, .limits = *limits, .observer = count_event, .observer_ctx = f
	};
	struct err err = { .msg = "" };

	store_close(f->store);
	f->store = store_open(&settings, &err);
	if (!f->store)
		fail_msg("%s", err.msg);
}

/* Publish; says is part of what is said against it, or NULL: it is fine. */
static void expect(struct fixture *f, const struct item *items, const char *says)
{
	struct err err = { .msg = "" };
	int failed = publish(f, "1.0.0", items, &err);

	if (!failed != !says)
		fail_msg("%s: %s", items->path, failed ? err.msg : "it is taken");
	if (!failed)
		return;
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_non_null(strstr(err.msg, says));
}

static char *text_of(size_t size)
{
	char *text = calloc(1, size + 1);

	assert_non_null(text);
	return memset(text, 'x', size);
}

static void sizes_and_counts(void **state)
{
	struct fixture *f = *state;
	struct store_limits limits = store_default_limits;
	CLEANUP(cleanup_free) char *most = text_of(1000);
	CLEANUP(cleanup_free) char *over = text_of(1001);
	CLEANUP(cleanup_free) char *half = text_of(500);
	CLEANUP(cleanup_free) char *more = text_of(501);
	const struct {
		struct item items[5];
		const char *says;
	} cases[] = {
		{ { { "a", AE_IFREG, "x", false },
		    { "b", AE_IFREG, "x", false },
		    { "c", AE_IFREG, "x", false } },
		  NULL },
		{ { { "a", AE_IFREG, "x", false },
		    { "b", AE_IFREG, "x", false },
		    { "c", AE_IFREG, "x", false },
		    { "d", AE_IFREG, "x", false } },
		  "the archive has over 3 entries" },
		{ { { "a", AE_IFREG, most, false } }, NULL },
		{ { { "a", AE_IFREG, over, false } }, "\"a\" is over 1000 bytes" },
		{ { { "a", AE_IFREG, most, false }, { "b", AE_IFREG, half, false } }, NULL },
		{ { { "a", AE_IFREG, most, false }, { "b", AE_IFREG, more, false } },
		  "unpacks to over 1500 bytes" },
		{ { { "a/b/c", AE_IFREG, "x", false } }, NULL },
		{ { { "a/b/c/d", AE_IFREG, "x", false } }, "over 3 folders deep" },
		{ { { "aaaaa/bbbbbb", AE_IFREG, "x", false } }, NULL },
		{ { { "aaaaaa/bbbbbb", AE_IFREG, "x", false } }, "a path over 12 bytes" },
	};

	limits.entries = 3;
	limits.file_bytes = 1000;
	limits.total_bytes = 1500;
	limits.depth = 3;
	limits.path_bytes = 12;
	limit_to(f, &limits);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(f, cases[i].items, cases[i].says);
}

/* What they lead to is copied: it lies as deep as it may, or one more. */
static void links_lead_no_deeper(void **state)
{
	static const struct item within[] = { { "d/f", AE_IFREG, "x", false },
		                              { "p/l", AE_IFLNK, "../d", false },
		                              { NULL, 0, NULL, false } };
	static const struct item over[] = { { "d/f", AE_IFREG, "x", false },
		                            { "p/q/l", AE_IFLNK, "../../d", false },
		                            { NULL, 0, NULL, false } };
	struct fixture *f = *state;
	struct store_limits limits = store_default_limits;

	limits.depth = 3;
	limit_to(f, &limits);
	expect(f, within, NULL);
	assert_string_equal(look(f, "p/l/f"), "x");
	expect(f, over, "over 3 deep");
}

/* Small archives may unpack to however many times their size. */
static void the_ratio_counts_from_a_size_on(void **state)
{
	struct fixture *f = *state;
	struct store_limits limits = store_default_limits;
	CLEANUP(cleanup_free) char *most = text_of(LARGE);
	CLEANUP(cleanup_free) char *over = text_of(LARGE + 1);
	const struct item within[] = { { "a", AE_IFREG, most, false }, { NULL, 0, NULL, false } };
	const struct item beyond[] = { { "a", AE_IFREG, over, false }, { NULL, 0, NULL, false } };

	limits.ratio_from = LARGE;
	limit_to(f, &limits);
	expect(f, within, NULL);
	expect(f, beyond, "200 times its size");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sizes_and_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(links_lead_no_deeper, setup, teardown),
		cmocka_unit_test_setup_teardown(the_ratio_counts_from_a_size_on, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
