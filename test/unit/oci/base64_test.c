/* Bytes and their texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/base64.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void decodes_base64(void **state)
{
	static const struct {
		const char *text, *bytes; /* NULL: not base64 */
	} rows[] = {
		{ "", "" },           { "Zg==", "f" },        { "Zm8=", "fo" },
		{ "Zm9v", "foo" },    { "Zm9vYg==", "foob" }, { " Zm\n9v\r\n\t", "foo" },
		{ "Zg=", NULL },      { "Zg", NULL },         { "Z", NULL },
		{ "Zg==Zg==", NULL }, { "=Zg=", NULL },       { "Z===", NULL },
		{ "====", NULL },     { "Zm9-", NULL },       { "Zm9\x80", NULL },
		{ "Zg=g", NULL },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(buf_release) struct buf out = BUF_INIT(100), text = BUF_INIT(100);
		struct err err;
		int failed = base64_decode(rows[i].text, &out, &err);

		if ((failed != 0) != !rows[i].bytes ||
		    (!failed && strcmp(buf_text(&out), rows[i].bytes) != 0))
			fail_msg("\"%s\": %d \"%s\"", rows[i].text, failed, buf_text(&out));
		if (failed || strpbrk(rows[i].text, " \n"))
			continue;
		assert_int_equal(base64_encode(buf_text(&out), out.size, &text, &err), 0);
		assert_string_equal(buf_text(&text), rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
