/* What a registry says of its progress. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdint.h>

#include "oci/upload.h"

static void ranges(void **state)
{
	static const struct {
		const char *text;
		int64_t end;
	} rows[] = {
		{ "0-1023", 1024 },
		{ "bytes=0-1023", 1024 },
		{ "0-0", 0 },
		{ "0-1", 2 },
		{ "0-9223372036854775806", INT64_MAX },
		{ "0-9223372036854775807", -1 },
		{ "0-99999999999999999999999", -1 },
		{ "", -1 },
		{ "0-", -1 },
		{ "0--1", -1 },
		{ "0- 5", -1 },
		{ "1-5", -1 },
		{ "0-5x", -1 },
		{ "0-5,7-9", -1 },
		{ "bytes 0-5/6", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (upload_range_end(rows[i].text) != rows[i].end)
			fail_msg("%s", rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
