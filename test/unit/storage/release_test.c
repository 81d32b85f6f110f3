/* Release files: what is written is read, and everything else is damage. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "storage/release.h"
#include "storage/release_reader.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OBJECT_A                                                                                   \
	"sha256digest=" HEX_A                                                                      \
	" contents=objects/aa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEAD                                                                                       \
	"#mtree\n# specman-release 1\n# tag t\n# manifest sha256:" HEX_A "\n# layer sha256:" HEX_A \
	"\n# created \n"
#define SEEN   "# seen 2024-12-06T12:43:14.123Z\n"
#define ROOT   ". type=dir mode=0755\n"
#define FOLDER "./a type=dir mode=0755 time=1.0\n"
#define FILE_A " type=file mode=0644 size=1 time=1.0 " OBJECT_A "\n"
#define TWIN   "# gzip sha256digest=" HEX_A " size="

struct fixture {
	char dir[64];
	struct layout layout;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err;

	strcpy(f->dir, "/tmp/specman-release-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(layout_open(f->dir, &f->layout, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[96];

	layout_close(&f->layout);
	(void)snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void write_file(struct fixture *f, const void *bytes, size_t size)
{
	int fd = openat(f->layout.releases, "t.mtree", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(close(fd), 0);
}

/* With the last line that belongs to it. */
static void write_text(struct fixture *f, const char *text)
{
	CLEANUP(buf_release) struct buf whole = BUF_INIT(1 << 20);
	char hex[DIGEST_TEXT_SIZE];
	struct digest digest;
	struct err err;

	assert_int_equal(digest_of(DIGEST_SHA256, text, strlen(text), &digest, &err), 0);
	assert_int_equal(
		buf_addf(&whole, &err, "%s# end sha256:%s\n", text, digest_hex(&digest, hex)), 0);
	write_file(f, whole.data, whole.size);
}

struct sample {
	const char *text;
	bool fine;
};

static void read_samples(struct fixture *f, const struct sample *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct store_release info;
		struct err err = { .msg = "" };
		int failed;

		write_text(f, cases[i].text);
		failed = release_read(&f->layout, "t", &info, NULL, NULL, &err);
		if (!failed != cases[i].fine || (failed && err.kind != ERR_FORMAT))
			fail_msg("case %zu: %s", i, failed ? err.msg : "taken");
	}
}

static void strict(void **state)
{
	static const struct sample cases[] = {
		{ HEAD SEEN ROOT, true },
		{ HEAD ROOT FOLDER "./a/b" FILE_A "./a.b" FILE_A, true },
		{ HEAD ROOT "./\\141\\040b" FILE_A, true },
		{ HEAD ROOT "./a type=file mode=0644 size=18446744073709551615 time=-1.0 " OBJECT_A
		            "\n",
		  true },
		{ HEAD, false },
		{ "", false },
		{ HEAD "# seen yesterday\n" ROOT, false },
		{ HEAD ROOT ROOT, false },
		{ HEAD ROOT "./a/b" FILE_A, false },                       /* no folder */
		{ HEAD ROOT "./a" FILE_A "./a/b" FILE_A, false },          /* below a file */
		{ HEAD ROOT FOLDER "./a.b" FILE_A "./a/b" FILE_A, false }, /* order */
		{ HEAD ROOT "./b" FILE_A "./a" FILE_A, false },
		{ HEAD ROOT "./a" FILE_A "./a" FILE_A, false }, /* twice */
		{ HEAD ROOT "./.." FILE_A, false },
		{ HEAD ROOT "./." FILE_A, false },
		{ HEAD ROOT "./" FILE_A, false },
		{ HEAD ROOT FOLDER "./a/.." FILE_A, false },
		{ HEAD ROOT FOLDER "./a/\\056\\056" FILE_A, false },
		{ HEAD ROOT FOLDER "./a//b" FILE_A, false },
		{ HEAD ROOT "/a" FILE_A, false },
		{ HEAD ROOT "./a\\000b" FILE_A, false },
		{ HEAD ROOT "./a\\9" FILE_A, false },
		{ HEAD ROOT "./a\\14" FILE_A, false },
		{ HEAD ROOT "./a type=link mode=0644 time=1.0\n", false },
		{ HEAD ROOT "./a type=dir mode=0888 time=1.0\n", false },
		{ HEAD ROOT "./a type=dir mode=10000 time=1.0\n", false },
		{ HEAD ROOT "./a type=dir mode=0755 time=1.5\n", false },
		{ HEAD ROOT "./a type=dir mode=0755 time=\n", false },
		{ HEAD ROOT "./a type=dir mode=0755 time=1.0 \n", false },
		{ HEAD ROOT "./a type=dir mode=0755 time=9223372036854775808.0\n", false },
		{ HEAD ROOT "./a type=file mode=0644 size=-1 time=1.0 " OBJECT_A "\n", false },
		{ HEAD ROOT "./a type=file mode=0644 size=18446744073709551616 time=1.0 " OBJECT_A
		            "\n",
		  false },
		{ HEAD ROOT "./a type=file mode=0644 size=1 time=1.0\n", false },
		{ HEAD ROOT "./a type=file mode=0644 size=1 time=1.0 " OBJECT_A "b\n", false },
		{ HEAD ROOT "./a type=file mode=0644 size=1 time=1.0 sha256digest=" HEX_A
		            " contents=objects/bb/" HEX_A "\n",
		  false },
		{ HEAD ROOT "\n", false },
		{ HEAD ROOT FOLDER "\n", false },
	};

	read_samples(*state, cases, sizeof(cases) / sizeof(cases[0]));
}

static void strict_about_twins(void **state)
{
	static const struct sample cases[] = {
		{ HEAD ROOT "./a" FILE_A TWIN "7\n./b" FILE_A TWIN "18446744073709551615\n", true },
		{ HEAD ROOT FOLDER "./a/b" FILE_A TWIN "7\n", true },
		{ HEAD ROOT TWIN "7\n./a" FILE_A, false },
		{ HEAD ROOT FOLDER TWIN "7\n", false },
		{ HEAD ROOT "./a" FILE_A TWIN "7\n" TWIN "7\n", false },
		{ HEAD ROOT "./a" FILE_A TWIN "0\n", false },
		{ HEAD ROOT "./a" FILE_A TWIN "\n", false },
		{ HEAD ROOT "./a" FILE_A TWIN "-7\n", false },
		{ HEAD ROOT "./a" FILE_A TWIN "7 \n", false },
		{ HEAD ROOT "./a" FILE_A TWIN "18446744073709551616\n", false },
		{ HEAD ROOT "./a" FILE_A "# gzip sha256digest=aa size=7\n", false },
		{ HEAD ROOT "./a" FILE_A "# gzip sha256digest=" HEX_A "a size=7\n", false },
		{ HEAD ROOT "./a" FILE_A "# gzip sha256digest=" HEX_A "\n", false },
		{ HEAD ROOT "./a" FILE_A "# zstd sha256digest=" HEX_A " size=7\n", false },
		{ HEAD ROOT "./a" FILE_A "#\n", false },
	};

	read_samples(*state, cases, sizeof(cases) / sizeof(cases[0]));
}

static void make_sample(struct fixture *f, struct buf *text)
{
	struct err err;

	write_text(f, HEAD SEEN ROOT FOLDER "./a/b" FILE_A TWIN "7\n./c" FILE_A);
	buf_clear(text);
	assert_int_equal(io_read_file(f->layout.releases, "t.mtree", text, &err), 0);
}

static void every_flipped_bit_and_every_cut_is_noticed(void **state)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
	struct fixture *f = *state;
	struct store_release info;
	struct err err;

	make_sample(f, &text);
	for (size_t i = 0; i < text.size; i++) {
		text.data[i] ^= (char)(1 << i % 8);
		write_file(f, text.data, text.size);
		assert_int_equal(release_read(&f->layout, "t", &info, NULL, NULL, &err), -1);
		assert_int_equal(err.kind, ERR_FORMAT);
		text.data[i] ^= (char)(1 << i % 8);
		write_file(f, text.data, i);
		assert_int_equal(release_read(&f->layout, "t", &info, NULL, NULL, &err), -1);
		assert_int_equal(err.kind, ERR_FORMAT);
	}
	write_file(f, text.data, text.size);
	assert_int_equal(release_read(&f->layout, "t", &info, NULL, NULL, &err), 0);
	assert_int_equal(info.files, 2);
	assert_int_equal(info.bytes, 2);
	assert_int_equal(info.seen_ms, 1733488994123);
}

/* Written before there was such a line: the file's own time stands in for it. */
static void without_the_line_that_says_when_it_was_seen(void **state)
{
	const struct timespec times[2] = { { .tv_sec = 1 },
		                           { .tv_sec = 1000, .tv_nsec = 5000000 } };
	struct fixture *f = *state;
	struct store_release info;
	struct err err;

	write_text(f, HEAD ROOT "./c" FILE_A);
	assert_int_equal(utimensat(f->layout.releases, "t.mtree", times, 0), 0);
	assert_int_equal(release_read(&f->layout, "t", &info, NULL, NULL, &err), 0);
	assert_int_equal(info.seen_ms, 1000005);
}

static int count_entry(void *ctx, const char *path, const struct tree_item *item, struct err *err)
{
	unsigned *count = ctx;
	char expected[PATH_MAX];

	(void)err;
	memset(expected, ' ', sizeof(expected));
	(void)snprintf(expected, sizeof(expected), "%06u", *count);
	expected[6] = ' ';
	assert_int_equal(strlen(path), 200);
	assert_memory_equal(path, expected, 200);
	assert_int_equal(item->size, *count);
	assert_int_equal(item->twin_size, *count % 3);
	assert_int_equal(item->twin.bytes[31], *count % 3);
	(*count)++;
	return 0;
}

/* Over many blocks, whose ends fall anywhere in a line; and copied under another tag. */
static void long_files(void **state)
{
	struct fixture *f = *state;
	struct err err;
	struct tree *tree = tree_new(10000, &err);
	struct store_release info = { .tag = "t", .created = "2024-12-06T12:43:14Z", .seen_ms = 7 };
	struct store_release read;
	unsigned count = 0;

	info.manifest.algorithm = info.layer.algorithm = DIGEST_SHA256;
	for (unsigned i = 0; i < 2000; i++) {
		struct tree_item item = { .kind = TREE_FILE, .mode = 0600, .mtime = -5, .size = i };
		char path[201];

		memset(path, ' ', 200);
		path[200] = '\0';
		(void)snprintf(path, sizeof(path), "%06u", i);
		path[6] = ' ';
		item.content.algorithm = DIGEST_SHA256;
		item.twin = item.content;
		item.twin.bytes[31] = (unsigned char)(i % 3);
		item.twin_size = i % 3;
		assert_int_equal(tree_put(tree, path, &item, &err), 0);
	}
	assert_int_equal(release_write(&f->layout, tree, &info, &err), 0);
	tree_free(tree);
	assert_int_equal(release_read(&f->layout, "t", &read, count_entry, &count, &err), 0);
	assert_int_equal(count, 2000);
	assert_int_equal(read.files, 2000);
	assert_int_equal(read.bytes, info.bytes);
	assert_int_equal(read.seen_ms, 7);
	(void)strcpy(info.tag, "other");
	info.files = 0;
	info.seen_ms = 9;
	assert_int_equal(release_copy(&f->layout, "t", &info, &err), 0);
	assert_int_equal(info.files, 2000);
	count = 0;
	assert_int_equal(release_read(&f->layout, "other", &read, count_entry, &count, &err), 0);
	assert_int_equal(count, 2000);
	assert_int_equal(read.seen_ms, 9);
	assert_string_equal(read.created, info.created);
	assert_int_equal(release_copy(&f->layout, "none", &info, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
}

/* A tree whose list is much longer than itself: few names, one below the other, and many files. */
static struct tree *deep_tree(unsigned files)
{
	struct err err;
	struct tree *tree = tree_new(files + 100, &err);
	char path[4000];

	memset(path, 'x', sizeof(path));
	for (size_t i = 200; i < sizeof(path) - 20; i += 201)
		path[i] = '/';
	for (unsigned i = 0; i < files; i++) {
		struct tree_item item = { .kind = TREE_FILE, .mode = 0644 };

		item.content.algorithm = DIGEST_SHA256;
		(void)snprintf(path + sizeof(path) - 20, 20, "/%07u", i);
		assert_int_equal(tree_put(tree, path, &item, &err), 0);
	}
	return tree;
}

static long peak_kib(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

/* An archive of some MiB can have a list of some GiB. */
static void a_list_is_not_in_memory_as_a_whole(void **state)
{
	struct fixture *f = *state;
	struct tree *tree = deep_tree(16000);
	struct store_release info = { .tag = "t" };
	struct err err = { .msg = "" };
	char path[96];
	struct stat st;
	long before = peak_kib();

	info.manifest.algorithm = info.layer.algorithm = DIGEST_SHA256;
	assert_int_equal(release_write(&f->layout, tree, &info, &err), 0);
	(void)strcpy(info.tag, "other");
	assert_int_equal(release_copy(&f->layout, "t", &info, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/releases/other.mtree", f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 60 << 20);
	assert_true(peak_kib() - before < 20 << 10);
	tree_free(tree);
}

/* It is written within what is not kept in reserve, and leaves nothing when that is too little. */
static void a_list_keeps_to_the_reserve(void **state)
{
	struct fixture *f = *state;
	struct tree *tree = deep_tree(16000);
	struct store_release info = { .tag = "t" };
	struct err err = { .msg = "" };
	char path[96];

	info.manifest.algorithm = info.layer.algorithm = DIGEST_SHA256;
	f->layout.reserve_bytes = (uint64_t)1 << 60;
	assert_int_equal(release_write(&f->layout, tree, &info, &err), -1);
	assert_int_equal(err.kind, ERR_NO_SPACE);
	(void)snprintf(path, sizeof(path), "rmdir %s/releases", f->dir);
	assert_int_equal(system(path), 0);
	tree_free(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(strict, setup, teardown),
		cmocka_unit_test_setup_teardown(strict_about_twins, setup, teardown),
		cmocka_unit_test_setup_teardown(every_flipped_bit_and_every_cut_is_noticed, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(without_the_line_that_says_when_it_was_seen, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(long_files, setup, teardown),
		cmocka_unit_test_setup_teardown(a_list_is_not_in_memory_as_a_whole, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_list_keeps_to_the_reserve, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
