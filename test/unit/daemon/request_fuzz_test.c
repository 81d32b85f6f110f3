/* The fuzzer of requests on mutations of a few seeds, the same each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "test/fuzz/request_fuzz.c"

enum { ROUNDS = 20000, ROOM = 512 };

static uint32_t next(uint32_t *random)
{
	*random = *random * 1664525U + 1013904223U;
	return *random >> 8;
}

#define SEED(text)                                                                                 \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

static void nothing_breaks(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} seeds[] = {
		SEED("\0/a/b%2e%2fc/../d//e?sort=size&order=desc#f"),
		SEED("\0https://host:1/a%41"),
		SEED("\1\0\0\0\0\0\0\0\377bytes=0-1,-5,3-,18446744073709551615-"),
		SEED("\1bytes=0-1,4-5 , -3"),
		SEED("\2\"tag\", W/\"tag\" ,*"),
		SEED("\2Thu, 01 Jan 1970 00:16:40 GMT"),
		SEED("\2Thursday, 01-Jan-70 00:16:40 GMT"),
		SEED("\3gzip;q=0.5, *;q=0, identity , text/html;x=y;q=1.000,application/json"),
		SEED("\4a<b>&\"'\xc3\xa4\xf0\x9f\x98\x80\xe2\x80\xa8\xff\x7f\xc2\x85"),
		SEED("\5\2\1\0\0GET\0/a\0HTTP/1.1\0\0Host\0a\0\0Range\0bytes=0-1\0\0\0"),
	};
	uint32_t random = 4711;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t seed = i % (sizeof(seeds) / sizeof(seeds[0]));
		size_t size = seeds[seed].size;
		uint8_t *bytes = malloc(ROOM);

		memcpy(bytes, seeds[seed].bytes, size);
		for (uint32_t n = next(&random) % 6; n; n--) {
			size_t at = 1 + next(&random) % (size - 1);

			if (next(&random) % 3 == 0 && size < ROOM)
				memmove(bytes + at + 1, bytes + at, size++ - at);
			else if (next(&random) % 3 == 0 && size > 3)
				memmove(bytes + at, bytes + at + 1, --size - at);
			if (at < size)
				bytes[at] = (uint8_t)next(&random);
		}
		/* The block ends with the data: to read on is seen by a sanitizer. */
		bytes = realloc(bytes, size);
		assert_int_equal(LLVMFuzzerTestOneInput(bytes, size), 0);
		free(bytes);
	}
}

/* What libFuzzer has found. */
static void what_broke_stays_whole(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} inputs[] = {
		/* A value of blanks alone, at the end of the buffer. */
		SEED("Ammmmm\0\0HTTP/1.\0\0\0001\0\t\t"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		uint8_t *bytes = malloc(inputs[i].size);

		memcpy(bytes, inputs[i].bytes, inputs[i].size);
		assert_int_equal(LLVMFuzzerTestOneInput(bytes, inputs[i].size), 0);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_broke_stays_whole),
		cmocka_unit_test(nothing_breaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
