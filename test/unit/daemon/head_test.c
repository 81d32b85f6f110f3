/* The head of a request, as libmicrohttpd leaves it in its buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/head.h"

/*
 * `|` stands for a carriage return and line feed, and each colon for one: what
 * libmicrohttpd makes NULs of. The request line is as it is written.
 */
static enum head_verdict read_text(const char *line, const char *fields, size_t count,
                                   struct head *head)
{
	size_t line_size = strlen(line), size = 0;
	char *bytes = calloc(1, line_size + 2 * strlen(fields) + 8);
	struct head_bytes raw = { .bytes = bytes, .target = bytes, .fields = count };
	enum head_verdict verdict;
	bool in_name = true;

	memcpy(bytes, line, line_size);
	for (size_t i = 0; i < line_size; i++)
		if (bytes[i] == ' ') {
			bytes[i] = '\0';
			if (raw.target == bytes)
				raw.target = bytes + i + 1;
			else
				raw.version = bytes + i + 1;
		}
	raw.target_length = strlen(raw.target);
	size = line_size + 2;
	for (; *fields; fields++) {
		char c = *fields;

		if (c == '|')
			size += 2;
		else if (c == ':' && in_name)
			size += 1;
		else
			bytes[size++] = c;
		in_name = c == '|' || (in_name && c != ':');
	}
	raw.size = size + 2;
	verdict = head_read(&raw, head);
	if (verdict == HEAD_FINE && head->host)
		assert_true(head->host > bytes && head->host < bytes + raw.size);
	free(bytes);
	return verdict;
}

static void heads_are_judged(void **state)
{
	static const char get[] = "GET /a HTTP/1.1";
	static const struct {
		const char *line, *fields;
		size_t count;
		enum head_verdict verdict;
	} cases[] = {
		{ get, "Host:a|", 1, HEAD_FINE },
		{ get, "Host:  a \t|X-A:|", 2, HEAD_FINE },
		{ get, "hOST:[::1]:80|", 1, HEAD_FINE },
		{ get, "", 0, HEAD_MALFORMED },
		{ "GET /a HTTP/1.0", "", 0, HEAD_FINE },
		{ "GET /a HTTP/1.9", "", 0, HEAD_MALFORMED },
		{ get, "Host:a|Host:a|", 2, HEAD_MALFORMED },
		{ get, "Host:|", 1, HEAD_MALFORMED },
		{ get, "Host::80|", 1, HEAD_MALFORMED },
		{ get, "Host:a@b|", 1, HEAD_MALFORMED },
		/* The two who have read it don't agree. */
		{ get, "Host:a|", 2, HEAD_MALFORMED },
		{ get, "Host:a|X:b|", 1, HEAD_MALFORMED },
		{ get, "Host:a|X :b|", 2, HEAD_MALFORMED },
		{ get, "Host:a| X:b|", 2, HEAD_MALFORMED },
		{ get, "Host:a|:b|", 2, HEAD_MALFORMED },
		{ get, "Host:a|X:b\x01|", 2, HEAD_MALFORMED },
		{ get, "Host:a|X:b\r|", 2, HEAD_MALFORMED },
		{ get, "Host:a|X:b\x7f|", 2, HEAD_MALFORMED },
		{ get, "Host:a|X:b\tc\xff|", 2, HEAD_FINE },
		{ "G@T /a HTTP/1.1", "Host:a|", 1, HEAD_MALFORMED },
		{ get, "Host:a|Content-Length:0|", 2, HEAD_FINE },
		{ get, "Host:a|Content-Length:000 |", 2, HEAD_FINE },
		{ get, "Host:a|Content-Length:01|", 2, HEAD_HAS_CONTENT },
		{ get, "Host:a|Content-Length:0,0|", 2, HEAD_MALFORMED },
		{ get, "Host:a|Content-Length:|", 2, HEAD_MALFORMED },
		{ get, "Host:a|Content-Length:0|Content-Length:0|", 3, HEAD_MALFORMED },
		{ get, "Host:a|Transfer-Encoding:chunked|", 2, HEAD_HAS_CONTENT },
		{ get, "Host:a|Transfer-Encoding:Chunked\t|", 2, HEAD_HAS_CONTENT },
		{ get, "Host:a|Transfer-Encoding:gzip|", 2, HEAD_UNKNOWN_CODING },
		{ get, "Host:a|Transfer-Encoding:chunked|Content-Length:0|", 3, HEAD_MALFORMED },
		{ "GET /a HTTP/1.0", "Transfer-Encoding:chunked|", 1, HEAD_MALFORMED },
		{ get, "Host:a|Range:x|Range:y|", 3, HEAD_MALFORMED },
		{ get,
		  "Host:a|Accept:1|Accept:2|Accept:3|Accept:4|Accept:5|Accept:6|Accept:7|"
		  "Accept:8|",
		  9, HEAD_FINE },
		{ get,
		  "Host:a|Accept:1|Accept:2|Accept:3|Accept:4|Accept:5|Accept:6|Accept:7|"
		  "Accept:8|Accept:9|",
		  10, HEAD_TOO_LARGE },
		{ get, "Host:a|", HEAD_FIELDS_MAX + 1, HEAD_TOO_LARGE },
	};
	struct head head;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum head_verdict verdict = read_text(cases[i].line, cases[i].fields,
		                                      cases[i].count, &head);

		if (verdict != cases[i].verdict)
			fail_msg("%s %s: %d", cases[i].line, cases[i].fields, (int)verdict);
	}
}

/* Every byte after another is cut off or made NUL: never read beyond, never fine by accident. */
static void what_is_cut_off_is_malformed(void **state)
{
	static const char whole[] = "GET\0/a\0HTTP/1.1\0\0Host\0a\0\0X-B\0c\0\0\0";
	struct head head;

	(void)state;
	for (size_t size = 0; size <= sizeof(whole); size++) {
		size_t room = size > 17 ? size : 17;
		char *bytes = calloc(1, room);
		const struct head_bytes raw = { .bytes = bytes,
			                        .size = size,
			                        .target = bytes + 4,
			                        .target_length = 2,
			                        .version = bytes + 7,
			                        .fields = 2 };
		enum head_verdict verdict;

		memcpy(bytes, whole, size < room ? size : room);
		verdict = head_read(&raw, &head);
		if (verdict != (size == sizeof(whole) ? HEAD_FINE : HEAD_MALFORMED))
			fail_msg("%zu bytes: %d", size, (int)verdict);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_are_judged),
		cmocka_unit_test(what_is_cut_off_is_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
