/* What is packed by gzip, xz and zstd comes out, in pieces of any size; what is broken does not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "storage/decoder.h"

enum { TEXT_BYTES = 300 * 1024, PACKED_BYTES = 512 * 1024 };

struct packed {
	unsigned char bytes[PACKED_BYTES];
	size_t size;
};

DEFINE_CLEANUP(cleanup_decoder, struct decoder, decoder_free);

static unsigned char text[TEXT_BYTES];
static struct packed packed[3]; /* of each format */

static void pack_gzip(struct packed *out)
{
	z_stream z = { .next_in = text,
		       .avail_in = TEXT_BYTES,
		       .next_out = out->bytes,
		       .avail_out = PACKED_BYTES };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->size = z.total_out;
	assert_int_equal(deflateEnd(&z), Z_OK);
}

static int setup(void **state)
{
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < TEXT_BYTES; i++) {
		x = x * 1664525 + 1013904223;
		text[i] = (unsigned char)('a' + (x >> 28));
	}
	pack_gzip(&packed[DECODER_GZIP]);
	assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, text, TEXT_BYTES,
	                                         packed[DECODER_XZ].bytes, &packed[DECODER_XZ].size,
	                                         PACKED_BYTES),
	                 LZMA_OK);
	packed[DECODER_ZSTD].size = ZSTD_compress(packed[DECODER_ZSTD].bytes, PACKED_BYTES, text,
	                                          TEXT_BYTES, 1);
	assert_false(ZSTD_isError(packed[DECODER_ZSTD].size));
	return 0;
}

/* Unpack all, given so many bytes at once and taken so many. Returns the size, or -1. */
static long unpack(enum decoder_format format, const void *bytes, size_t size, size_t in_step,
                   size_t out_step, unsigned char *out, size_t room, struct err *err)
{
	CLEANUP(cleanup_decoder) struct decoder *d = decoder_new(format, err);
	struct decoding io = { .in = bytes };
	size_t given = 0, taken = 0;
	bool end = false;

	assert_non_null(d);
	while (!end) {
		if (!io.in_size && !io.is_last) {
			io.in = (const unsigned char *)bytes + given;
			io.in_size = size - given < in_step ? size - given : in_step;
			given += io.in_size;
			io.is_last = !io.in_size;
		}
		if (!io.out_size) {
			assert_true(taken < room);
			io.out = out + taken;
			io.out_size = room - taken < out_step ? room - taken : out_step;
			taken += io.out_size;
		}
		if (decoder_run(d, &io, &end, err))
			return -1;
	}
	return (long)(taken - io.out_size);
}

static void check(enum decoder_format format, const struct packed *from, size_t times)
{
	static const size_t steps[][2] = {
		{ PACKED_BYTES, 3 * TEXT_BYTES },
		{ 1, 1 << 16 },
		{ 1 << 16, 1 },
		{ 1, 1 },
		{ 7, 4096 },
	};
	CLEANUP(cleanup_free) unsigned char *out = malloc(3 * TEXT_BYTES);

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct err err = { .msg = "" };
		long size = unpack(format, from->bytes, from->size, steps[i][0], steps[i][1], out,
		                   3 * TEXT_BYTES, &err);

		if (size != (long)(times * TEXT_BYTES))
			fail_msg("format %d, steps %zu: %ld bytes, %s", format, i, size, err.msg);
		for (size_t at = 0; at < (size_t)size; at += TEXT_BYTES)
			assert_memory_equal(out + at, text, TEXT_BYTES);
	}
}

static void add(struct packed *to, const void *bytes, size_t size)
{
	assert_true(to->size + size <= PACKED_BYTES);
	memcpy(to->bytes + to->size, bytes, size);
	to->size += size;
}

static void comes_out(void **state)
{
	(void)state;
	for (enum decoder_format format = DECODER_GZIP; format <= DECODER_ZSTD; format++)
		check(format, &packed[format], 1);
}

static void several_in_a_row_are_one(void **state)
{
	static struct packed twice;

	(void)state;
	for (enum decoder_format format = DECODER_GZIP; format <= DECODER_ZSTD; format++) {
		twice = packed[format];
		add(&twice, packed[format].bytes, packed[format].size);
		check(format, &twice, 2);
	}
}

static const struct {
	enum decoder_format format;
	size_t cut;       /* from the end */
	size_t flip;      /* the byte so far from the end, 0 for none */
	const char *more; /* behind it */
	size_t more_size;
	const char *says; /* NULL: it is fine */
} ends[] = {
	{ DECODER_GZIP, 1, 0, "", 0, "gzip data is broken: it is cut off" },
	{ DECODER_GZIP, 0, 8, "", 0, "gzip data is broken: incorrect data check" },
	{ DECODER_GZIP, 0, 0, "\0\0\0", 3, NULL },
	{ DECODER_GZIP, 0, 0, "\0\x1f\x8b", 3, "other bytes follow" },
	{ DECODER_XZ, 1, 0, "", 0, "xz data is broken: it is cut off" },
	{ DECODER_XZ, 40, 0, "", 0, "cut off" },
	{ DECODER_XZ, 1000, 0, "", 0, "cut off" },
	{ DECODER_XZ, 0, 1, "", 0, "xz data is broken: " },
	{ DECODER_XZ, 0, 9, "", 0, "damaged" },
	{ DECODER_XZ, 0, 5000, "", 0, "damaged" },
	{ DECODER_XZ, 0, 0, "\0\0\0\0", 4, NULL }, /* the format's section 2.2 */
	{ DECODER_XZ, 0, 0, "\0\0\0", 3, "xz data is broken: " },
	{ DECODER_XZ, 0, 0, "garbage, which is no header", 27, "other bytes follow" },
	{ DECODER_XZ, 0, 0, "\xfd\x37zXZ\0\0\x0f", 8, "xz data is broken: " },
	{ DECODER_ZSTD, 1, 0, "", 0, "zstd data is broken: it is cut off" },
	{ DECODER_ZSTD, 1000, 0, "", 0, "cut off" },
	{ DECODER_ZSTD, 0, 0, "\x28\xb5\x2f", 3, "cut off" },
	{ DECODER_ZSTD, 0, 0, "\x28\xb5\x2f\xfc\0\0\0\0", 8, "zstd data is broken: Unknown frame" },
	{ DECODER_ZSTD, 0, 0, "\0\0\0\0", 4, "other bytes follow" },
	/* A frame to be skipped; that one cut; then a frame of a version before RFC 8878. */
	{ DECODER_ZSTD, 0, 0, "\x50\x2a\x4d\x18\3\0\0\0abc", 11, NULL },
	{ DECODER_ZSTD, 0, 0, "\x5f\x2a\x4d\x18\3\0\0\0abc", 11, NULL },
	{ DECODER_ZSTD, 0, 0, "\x50\x2a\x4d\x18\3\0\0\0ab", 10, "cut off" },
	{ DECODER_ZSTD, 0, 0, "\x27\xb5\x2f\xfd\0\0\0\0", 8, "other bytes follow" },
};

static void ends_count(void **state)
{
	static struct packed bytes;
	static unsigned char out[2 * TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		for (size_t step = 1; step <= PACKED_BYTES; step *= PACKED_BYTES) {
			struct err err = { .msg = "" };
			long size;

			bytes = packed[ends[i].format];
			bytes.size -= ends[i].cut;
			if (ends[i].flip)
				bytes.bytes[bytes.size - ends[i].flip] ^= 1;
			add(&bytes, ends[i].more, ends[i].more_size);
			size = unpack(ends[i].format, bytes.bytes, bytes.size, step, sizeof(out),
			              out, sizeof(out), &err);
			if (ends[i].says ? size >= 0 || err.kind != ERR_FORMAT ||
			                           !strstr(err.msg, ends[i].says)
			                 : size != TEXT_BYTES)
				fail_msg("case %zu by %zu: %ld, %s", i, step, size, err.msg);
		}
	}
}

/* Set the dictionary's size in the header of the first block; xz' format, sections 3.1 and 5.3.1.
 */
static void set_dictionary(struct packed *xz, unsigned char code)
{
	unsigned char *head = xz->bytes + LZMA_STREAM_HEADER_SIZE;
	size_t size = ((size_t)head[0] + 1) * 4, at = 2;
	uint32_t crc;

	/* Sizes may stand in front of the filter. */
	while (memcmp(head + at, "\x21\x01", 2) != 0)
		assert_true(++at < size);
	head[at + 2] = code;
	crc = lzma_crc32(head, size - 4, 0);
	for (size_t i = 0; i < 4; i++)
		head[size - 4 + i] = (unsigned char)(crc >> 8 * i);
}

static void windows_are_bounded(void **state)
{
	/* zstd: RFC 8878 section 3.1.1.1.2: bits 3 and up are the exponent less 10, the
	 * others eighths. */
	static const struct {
		enum decoder_format format;
		unsigned char code;
		bool is_fine;
	} windows[] = {
		{ DECODER_XZ, 28, true },             /* 64 MiB: xz -9 */
		{ DECODER_XZ, 30, true },             /* 128 MiB */
		{ DECODER_XZ, 31, false },            /* 192 MiB */
		{ DECODER_XZ, 36, false },            /* 1 GiB */
		{ DECODER_XZ, 40, false },            /* 4 GiB less one */
		{ DECODER_ZSTD, 17 << 3, true },      /* 128 MiB: --long, --ultra -22 */
		{ DECODER_ZSTD, 17 << 3 | 1, false }, /* 144 MiB */
		{ DECODER_ZSTD, 21 << 3, false },     /* 2 GiB: --long=31 */
		{ DECODER_ZSTD, 31 << 3 | 7, false },
	};
	static struct packed bytes;
	static unsigned char out[2 * TEXT_BYTES + 2];

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(windows) / sizeof(windows[0]); i++) {
		const size_t at = i / 2;
		const bool is_second = i % 2;
		long expected = 1;
		struct err err = { .msg = "" };
		long size;

		bytes.size = 0;
		if (windows[at].format == DECODER_XZ) {
			bytes = packed[DECODER_XZ];
			set_dictionary(&bytes, windows[at].code);
			expected = TEXT_BYTES;
		} else {
			/* One block of the last kind, with a byte as it is. */
			add(&bytes, "\x28\xb5\x2f\xfd\0?\x09\0\0x", 10);
			bytes.bytes[5] = windows[at].code;
		}
		if (is_second) {
			static struct packed both;

			both = packed[windows[at].format];
			add(&both, bytes.bytes, bytes.size);
			bytes = both;
			expected += TEXT_BYTES;
		}
		size = unpack(windows[at].format, bytes.bytes, bytes.size, PACKED_BYTES,
		              sizeof(out), out, sizeof(out), &err);
		if (size != (windows[at].is_fine ? expected : -1) ||
		    (size < 0 &&
		     (err.kind != ERR_LIMIT || !strstr(err.msg, "a window of over 128 MiB"))))
			fail_msg("case %zu: %ld, %s", i, size, err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_out),
		cmocka_unit_test(several_in_a_row_are_one),
		cmocka_unit_test(ends_count),
		cmocka_unit_test(windows_are_bounded),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
