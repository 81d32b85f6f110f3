/* Sets of ranges, and the body that several make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/multipart.h"
#include "daemon/range.h"

static void sets_are_parsed(void **state)
{
	/* Of 100 bytes. */
	static const struct {
		const char *field;
		enum range_verdict verdict;
		size_t count;
		struct part parts[3];
	} cases[] = {
		{ "bytes=0-0", RANGE_PARTS, 1, { { 0, 1 } } },
		{ "Bytes=0-99", RANGE_PARTS, 1, { { 0, 100 } } },
		{ "bytes=99-", RANGE_PARTS, 1, { { 99, 1 } } },
		{ "bytes=-1", RANGE_PARTS, 1, { { 99, 1 } } },
		{ "bytes=-100", RANGE_PARTS, 1, { { 0, 100 } } },
		{ "bytes=-18446744073709551616", RANGE_PARTS, 1, { { 0, 100 } } },
		{ "bytes=5-18446744073709551615", RANGE_PARTS, 1, { { 5, 95 } } },
		{ "bytes=18446744073709551615-18446744073709551615", RANGE_NONE, 0, { { 0 } } },
		{ "bytes=100-", RANGE_NONE, 0, { { 0 } } },
		{ "bytes=-0", RANGE_NONE, 0, { { 0 } } },
		{ "bytes=3-2", RANGE_NONE, 0, { { 0 } } },
		{ "bytes=--1", RANGE_NONE, 0, { { 0 } } },
		{ "bytes=1-2-3", RANGE_NONE, 0, { { 0 } } },
		{ "bytes=1-2 3-4", RANGE_NONE, 0, { { 0 } } },
		{ "bytes=,", RANGE_NONE, 0, { { 0 } } },
		{ "bytes=", RANGE_IGNORED, 0, { { 0 } } },
		{ "bytes", RANGE_IGNORED, 0, { { 0 } } },
		{ "byte=0-1", RANGE_IGNORED, 0, { { 0 } } },
		{ "bytes=0-1,-1,50-", RANGE_PARTS, 3, { { 0, 2 }, { 99, 1 }, { 50, 50 } } },
		{ "bytes= 0 - 1 , 4-5\t", RANGE_PARTS, 2, { { 0, 2 }, { 4, 2 } } },
		{ "bytes=200-,0-1", RANGE_PARTS, 1, { { 0, 2 } } },
		{ "bytes=0-,0-0", RANGE_IGNORED, 0, { { 0 } } },
	};
	struct parts parts;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum range_verdict verdict = range_parse(cases[i].field, 100, &parts);

		if (verdict != cases[i].verdict)
			fail_msg("%s: %d", cases[i].field, (int)verdict);
		if (verdict != RANGE_PARTS)
			continue;
		assert_int_equal(parts.count, cases[i].count);
		assert_memory_equal(parts.at, cases[i].parts, parts.count * sizeof(struct part));
	}
	assert_int_equal(range_parse("bytes=0-", 0, &parts), RANGE_IGNORED);
}

static void pieces_make_the_body(void **state)
{
	static const char content[] = "0123456789";
	static const char expected[] =
		"\r\n--B\r\nContent-Type: t\r\nContent-Range: bytes 0-1/10\r\n\r\n01"
		"\r\n--B\r\nContent-Type: t\r\nContent-Range: bytes 7-9/10\r\n\r\n789"
		"\r\n--B--\r\n";
	const struct parts parts = { .at = { { 0, 2 }, { 7, 3 } }, .count = 2 };
	const struct multipart_kind kind = { "B", "t", 10 };
	struct multipart multipart;
	struct err err;

	(void)state;
	assert_int_equal(multipart_init(&multipart, &parts, &kind, &err), 0);
	assert_int_equal(multipart.size, strlen(expected));
	/* From any offset, as far as a piece goes. */
	for (uint64_t at = 0; at < multipart.size; at++) {
		struct multipart_piece piece = multipart_at(&multipart, at);

		assert_true(piece.length > 0 && piece.length <= multipart.size - at);
		assert_memory_equal(piece.text ? piece.text : content + piece.first, expected + at,
		                    piece.length);
	}
	multipart_release(&multipart);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_are_parsed),
		cmocka_unit_test(pieces_make_the_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
