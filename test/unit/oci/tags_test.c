/* Pages of tags and the way from one to the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "oci/limits.h"
#include "oci/link.h"
#include "oci/tags.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define HEX        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void keeps_releases_in_order(void **state)
{
	static const char page[] =
		"{\"name\":\"x\",\"tags\":[\"2\",\"1\",\"2\",\"../x\",\"a b\",\"\",\"sha256-" HEX
		"\",\"sha256-" HEX ".sig\",\"sha256-" HEX ".att\",\"sha256-" HEX
		".sbom\",\"sha512-" HEX "\",\"sha256-" HEX ".x\",\"sha256-" HEX "0\",\"0.0.0\"]}";
	static const char *const wanted[] = { "2",     "1", "sha256-" HEX ".x", "sha256-" HEX "0",
		                              "0.0.0", "3" };
	CLEANUP(nameset_release) struct nameset set = NAMESET_INIT;
	struct err err;

	(void)state;
	assert_int_equal(tags_add_page(&set, page, sizeof(page) - 1, &err), 0);
	assert_int_equal(tags_add_page(&set, "{\"tags\":[\"1\",\"3\"]}", 18, &err), 0);
	assert_int_equal(tags_add_page(&set, "{\"tags\":null}", 13, &err), 0);
	assert_int_equal(tags_add_page(&set, "{}", 2, &err), 0);
	assert_int_equal(set.count, LEN(wanted));
	for (size_t i = 0; i < LEN(wanted); i++)
		assert_string_equal(set.names[i], wanted[i]);
}

static void refuses_other_documents(void **state)
{
	static const char *const bodies[] = {
		"",
		"<html>",
		"[]",
		"null",
		"{\"tags\":{}}",
		"{\"tags\":[1]}",
		"{\"tags\":[\"1\"]",
		"{\"tags\":[],\"tags\":[]}",
		"{\"tags\":[\"a\\u0000b\"]}",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	};

	(void)state;
	for (size_t i = 0; i < LEN(bodies); i++) {
		CLEANUP(nameset_release) struct nameset set = NAMESET_INIT;
		struct err err = { .kind = ERR_NONE };

		assert_int_equal(tags_add_page(&set, bodies[i], strlen(bodies[i]), &err), -1);
		assert_int_equal(err.kind, i + 1 < LEN(bodies) ? ERR_FORMAT : ERR_LIMIT);
	}
}

static void bounds_the_list(void **state)
{
	CLEANUP(nameset_release) struct nameset set = NAMESET_INIT;
	CLEANUP(buf_release) struct buf page = BUF_INIT(1 << 20);
	struct err err;

	(void)state;
	assert_int_equal(buf_addf(&page, &err, "{\"tags\":["), 0);
	for (int i = 0; i < LIMIT_TAGS; i++)
		assert_int_equal(buf_addf(&page, &err, "%s\"%d\"", i ? "," : "", i), 0);
	assert_int_equal(buf_addf(&page, &err, "]}"), 0);
	assert_int_equal(tags_add_page(&set, page.data, page.size, &err), 0);
	assert_int_equal(set.count, LIMIT_TAGS);
	assert_int_equal(tags_add_page(&set, page.data, page.size, &err), 0);
	assert_int_equal(tags_add_page(&set, "{\"tags\":[\"x\"]}", 14, &err), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
}

static void finds_the_next_link(void **state)
{
	static const struct {
		const char *header, *target;
	} rows[] = {
		{ "</v2/x/tags/list?n=1&last=a>; rel=\"next\"", "/v2/x/tags/list?n=1&last=a" },
		{ "<b>; rel=next", "b" },
		{ " <b> ; REL = \"prev NEXT\"", "b" },
		{ "<a>; rel=prev, <b>; title=\"x, <c>; rel=next\"; rel=next", "b" },
		{ "<a,b;c>; rel=next", "a,b;c" },
		{ "<a>; rel=prev; rel=next", NULL },
		{ "<a>; rel=nextish", NULL },
		{ "<a>; rev=next", NULL },
		{ "<a>", NULL },
		{ "<a; rel=next", NULL },
		{ "a; rel=next", NULL },
		{ "<a>; rel=\"next", NULL },
		{ "<a>;;;; rel", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(cleanup_free) char *target = link_next(rows[i].header);

		if (!target != !rows[i].target)
			fail_msg("%s: %s", rows[i].header, target ? target : "none");
		if (target)
			assert_string_equal(target, rows[i].target);
	}
}

static void stays_at_the_registry(void **state)
{
	static const char page[] = "https://h:5000/v2/x/tags/list?n=1000";
	static const struct {
		const char *page, *target, *url;
	} rows[] = {
		{ page, "/v2/x/tags/list?last=a", "https://h:5000/v2/x/tags/list?last=a" },
		{ page, "list?last=b", "https://h:5000/v2/x/tags/list?last=b" },
		{ page, "?last=c", "https://h:5000/v2/x/tags/list?last=c" },
		{ page, "https://H:5000/v2/y", "https://h:5000/v2/y" },
		{ page, "//h:5000/v2/y", "https://h:5000/v2/y" },
		/* A proxy ended TLS, and the registry doesn't know. */
		{ page, "http://h/v2/y?last=d", "https://h:5000/v2/y?last=d" },
		{ page, "http://h:81/v2/y", NULL },
		{ page, "https://h/v2/y", NULL },
		{ page, "https://evil.example/v2/y", NULL },
		{ page, "//evil.example/v2/y", NULL },
		{ page, "https://h:5000@evil.example/v2/y", NULL },
		{ page, "file:///etc/passwd", NULL },
		{ page, "/v2/a b", NULL },
		{ "http://h/v2/x", "https://h/v2/y", NULL },
		{ "http://[::1]:5000/v2/x", "http://[0::1]:5000/v2/y", "http://[::1]:5000/v2/y" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct err err = { .kind = ERR_NONE };
		CLEANUP(cleanup_free) char *url = link_resolve(rows[i].page, rows[i].target, &err);

		if (!url != !rows[i].url)
			fail_msg("%s: %s", rows[i].target, url ? url : err.msg);
		if (url)
			assert_string_equal(url, rows[i].url);
		else
			assert_int_equal(err.kind, ERR_FORMAT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_releases_in_order),
		cmocka_unit_test(refuses_other_documents),
		cmocka_unit_test(bounds_the_list),
		cmocka_unit_test(finds_the_next_link),
		cmocka_unit_test(stays_at_the_registry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
