/* Entries: names of zip archives, what they are packed by, how much may describe them. */
#include "harness.h"

#include <dlfcn.h>
#include <locale.h>

enum { BYTES_MAX = 8 << 20, LINKED_BYTES = 3 << 20 };

static bool has_locale = true;

/* Stands before libc's: the system may have none. */
locale_t newlocale(int mask, const char *name, locale_t base)
{
	locale_t (*next)(int, const char *, locale_t);

	*(void **)&next = dlsym(RTLD_NEXT, "newlocale");
	assert_non_null(next);
	return has_locale ? next(mask, name, base) : (locale_t)0;
}

static void add16(struct buf *out, unsigned value)
{
	struct err err;

	const char bytes[] = { (char)(value & 0xff), (char)(value >> 8 & 0xff) };

	assert_int_equal(buf_add(out, bytes, sizeof(bytes), &err), 0);
}

static void add32(struct buf *out, size_t value)
{
	add16(out, value & 0xffff);
	add16(out, (unsigned)(value >> 16));
}

/* What is in both headers of an empty file. */
static void add_fields(struct buf *out, unsigned flags, unsigned method, size_t name_size)
{
	add16(out, 20);
	add16(out, flags);
	add16(out, method);
	add32(out, 33 << 16);
	for (int i = 0; i < 3; i++)
		add32(out, 0);
	add16(out, (unsigned)name_size);
	add16(out, 0);
}

/* A zip archive of an empty file; APPNOTE.TXT section 4.3. */
static void zip(const char *name, unsigned flags, unsigned method, struct buf *out)
{
	size_t list, size = strlen(name);
	struct err err;

	assert_int_equal(buf_add(out, "PK\3\4", 4, &err), 0);
	add_fields(out, flags, method, size);
	assert_int_equal(buf_add(out, name, size, &err), 0);
	list = out->size;
	assert_int_equal(buf_add(out, "PK\1\2\x14\x03", 6, &err), 0);
	add_fields(out, flags, method, size);
	add16(out, 0);
	add16(out, 0);
	add16(out, 0);
	add32(out, (size_t)0100644 << 16);
	add32(out, 0);
	assert_int_equal(buf_add(out, name, size, &err), 0);
	size = out->size - list;
	assert_int_equal(buf_add(out, "PK\5\6\0\0\0\0\1\0\1\0", 12, &err), 0);
	add32(out, size);
	add32(out, list);
	add16(out, 0);
}

static const struct {
	const char *name;
	unsigned flags, method;
	bool has_locale;
	const char *path; /* NULL: it is refused with an error like `says` */
	const char *says;
} zips[] = {
	{ "a", 0, 0, true, "a", NULL },
	{ "a", 0x800, 0, false, "a", NULL },
	{ "gr\xc3\xbcn", 0x800, 0, true, "gr\xc3\xbcn", NULL },
	{ "gr\xc3\xbcn", 0x800, 0, false, NULL, "no locale C.UTF-8" },
	{ "gr\xc3\xbcn", 0, 0, true, "gr\xc3\xbcn", NULL },
	{ "gr\xc3\xbcn", 0, 0, false, "gr\xc3\xbcn", NULL },
	{ "gr\x81n", 0, 0, true, "gr\x81n", NULL },
	{ "gr\x81n", 0, 0, false, "gr\x81n", NULL },
	{ "gr\x81n", 0x800, 0, true, NULL, "no name that is UTF-8, as it says" },
	{ "\xed\xa0\x80", 0x800, 0, true, NULL, "no name that is UTF-8, as it says" },
	{ "a\xcc\x88", 0x800, 0, true, "\xc3\xa4", NULL }, /* in composed form */
	{ "a\xcc\x88", 0, 0, true, "a\xcc\x88", NULL },
	{ "\xe2\x82\xac/../../x", 0x800, 0, true, NULL, "leaves the archive" },
	{ "\xe2\x82\xac\n", 0x800, 0, true, NULL, "control character" },
	{ "a", 0, 14, true, NULL, "\"a\" is packed by the method (lzma)" },
	{ "a", 0, 93, true, NULL, "(zstd)" },
	{ "a", 0, 95, true, NULL, "(xz)" },
	{ "a", 0, 98, true, NULL, "(ppmd-1)" },
	{ "a", 0, 99, true, NULL, "(aes)" },
	{ "a", 0, 9, true, NULL, "(deflation-64-bit)" },
	{ "a", 0, 77, true, NULL, "(\?\?)" },
};

static void names_and_methods_of_zip(void **state)
{
	struct fixture *f = *state;
	const char *mine = setlocale(LC_ALL, NULL);

	for (size_t i = 0; i < sizeof(zips) / sizeof(zips[0]); i++) {
		CLEANUP(buf_release) struct buf archive = BUF_INIT(BYTES_MAX);
		struct err err = { .msg = "" };
		int failed;

		zip(zips[i].name, zips[i].flags, zips[i].method, &archive);
		has_locale = zips[i].has_locale;
		failed = publish_bytes(f, "1.0.0", archive.data, archive.size, &err);
		has_locale = true;
		if (!failed != !zips[i].says)
			fail_msg("case %zu: %s", i, err.msg);
		if (failed && (err.kind != ERR_FORMAT || !strstr(err.msg, zips[i].says)))
			fail_msg("case %zu: %s", i, err.msg);
		if (!failed)
			assert_string_equal(look(f, zips[i].path), "");
		/* The thread has the locale that it had. */
		assert_ptr_equal(uselocale((locale_t)0), LC_GLOBAL_LOCALE);
		assert_string_equal(setlocale(LC_ALL, NULL), mine);
	}
}

/* A tar header; its checksum (POSIX 1003.1, ustar) is made. */
static void add_header(struct buf *out, const char *name, char kind, size_t size)
{
	char block[512] = "";
	unsigned sum = 0;
	struct err err;

	(void)snprintf(block, 100, "%s", name);
	memcpy(block + 100, "0000644", 8);
	(void)snprintf(block + 124, 12, "%011zo", size);
	(void)snprintf(block + 136, 12, "%011o", 0);
	memset(block + 148, ' ', 8);
	block[156] = kind;
	if (kind == '1')
		memcpy(block + 157, "file", 4);
	memcpy(block + 257,
	       "ustar\0"
	       "00",
	       8);
	for (size_t i = 0; i < sizeof(block); i++)
		sum += (unsigned char)block[i];
	(void)snprintf(block + 148, 8, "%06o", sum);
	assert_int_equal(buf_add(out, block, sizeof(block), &err), 0);
}

/* In front of a file: a pax header with so many bytes of a comment, several times. */
static void add_comments(struct buf *out, size_t size, size_t times)
{
	CLEANUP(cleanup_free) char *body = calloc(1, size + 512);
	struct err err;

	for (size_t i = 0; i < times; i++) {
		int head = snprintf(body, 64, "%zu comment=", size);

		memset(body + head, 'x', size - (size_t)head - 1);
		body[size - 1] = '\n';
		add_header(out, "pax", i ? 'g' : 'x', size);
		assert_int_equal(buf_add(out, body, (size + 511) / 512 * 512, &err), 0);
	}
	add_header(out, "file", '0', 0);
}

static void headers_are_bounded(void **state)
{
	static const struct {
		size_t size, times;
		bool is_fine;
	} cases[] = {
		{ 100, 1, true },
		{ 990000, 1, true },
		{ 990000, 3, false },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buf_release) struct buf archive = BUF_INIT(BYTES_MAX);
		CLEANUP(cleanup_free) char *zeros = calloc(1, 1024);
		struct err err = { .msg = "" };
		int failed;

		add_header(&archive, "folder", '5', 0);
		add_comments(&archive, cases[i].size, cases[i].times);
		add_comments(&archive, 100, 1);
		assert_int_equal(buf_add(&archive, zeros, 1024, &err), 0);
		failed = publish_bytes(f, "1.0.0", archive.data, archive.size, &err);
		if (!failed != cases[i].is_fine ||
		    (failed && (err.kind != ERR_LIMIT ||
		                !strstr(err.msg, "after entry \"folder\": what describes the "
		                                 "entries is larger than it may be"))))
			fail_msg("case %zu: %s", i, err.msg);
	}
}

/* That of a hard link, which pax archives may have (POSIX pax, linkdata). */
static void what_nobody_reads_is_no_header(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf archive = BUF_INIT(BYTES_MAX);
	CLEANUP(cleanup_free) char *zeros = calloc(1, LINKED_BYTES);
	struct err err = { .msg = "" };

	add_comments(&archive, 100, 1);
	add_header(&archive, "link", '1', LINKED_BYTES);
	assert_int_equal(buf_add(&archive, zeros, LINKED_BYTES, &err), 0);
	add_header(&archive, "more", '0', 0);
	assert_int_equal(buf_add(&archive, zeros, 1024, &err), 0);
	if (publish_bytes(f, "1.0.0", archive.data, archive.size, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(look(f, "more"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_and_methods_of_zip, setup, teardown),
		cmocka_unit_test_setup_teardown(headers_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(what_nobody_reads_is_no_header, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
