/* Packing: the same bytes for the same files, and what is packed can be unpacked. */
#include "harness.h"
#include "storage/pack.h"

#include <sys/mman.h>

struct sums {
	struct digest digest;
	struct store_contents contents;
};

static void ignore_progress(void *ctx, uint64_t done, uint64_t all)
{
	(void)ctx;
	assert_true(done <= all);
}

static const struct store_export_observer silent = { ignore_progress, NULL };

static int pack(struct fixture *f, const char *folder, const struct store_limits *limits,
                struct sums *out, struct buf *bytes, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = memfd_create("archive", MFD_CLOEXEC);
	int failed = store_pack(folder, fd, limits, f->cancel, &silent, &out->contents, err);

	if (failed)
		return -1;
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(io_read_rest(fd, "archive", bytes, err), 0);
	return digest_of(DIGEST_SHA256, bytes->data, bytes->size, &out->digest, err);
}

static void put(const char *folder, const char *name, const char *text, mode_t mode)
{
	char path[160];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void make_folder(const char *parent, const char *name)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", parent, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void make_link(const char *target, const char *folder, const char *name)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(symlink(target, path), 0);
}

/* A folder to be packed, outside of the store. */
static void fill(const char *folder, mode_t mode)
{
	assert_int_equal(mkdir(folder, 0755), 0);
	make_folder(folder, "a");
	put(folder, "a/two", "2", mode);
	put(folder, "one", "1", mode);
	make_link("a/two", folder, "link");
}

static void same_files_same_bytes(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf first = BUF_INIT(1 << 20);
	CLEANUP(buf_release) struct buf second = BUF_INIT(1 << 20);
	struct sums one, other;
	char a[96], b[96];
	struct err err;

	(void)snprintf(a, sizeof(a), "%s/a", f->dir);
	(void)snprintf(b, sizeof(b), "%s/b", f->dir);
	fill(a, 0644);
	fill(b, 0400);
	assert_int_equal(pack(f, a, &store_default_limits, &one, &first, &err), 0);
	assert_int_equal(pack(f, b, &store_default_limits, &other, &second, &err), 0);
	assert_true(digest_equal(&one.digest, &other.digest));
	assert_int_equal(one.contents.files, 2);
	assert_int_equal(one.contents.folders, 1);
	assert_int_equal(one.contents.links, 1);
	assert_int_equal(one.contents.bytes, 2);
}

static void what_is_packed_is_published(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf bytes = BUF_INIT(1 << 20);
	struct sums sums;
	char folder[96];
	struct err err;

	(void)snprintf(folder, sizeof(folder), "%s/a", f->dir);
	fill(folder, 0644);
	assert_int_equal(pack(f, folder, &store_default_limits, &sums, &bytes, &err), 0);
	assert_int_equal(publish_bytes(f, "1.0.0", bytes.data, bytes.size, &err), 0);
	assert_string_equal(look(f, "one"), "1");
	assert_string_equal(look(f, "a/two"), "2");
	assert_string_equal(look(f, "link"), "2");
}

static void limits_and_rules(void **state)
{
	static const struct row {
		struct store_limits limits;
		const char *target; /* of another link, or NULL */
		const char *says;
		enum err_kind kind;
	} rows[] = {
		{ { 4, 10, 10, 200, 100, 100, 8 }, NULL, "over 4 entries", ERR_LIMIT },
		{ { 5, 0, 10, 200, 100, 100, 8 }, NULL, "\"a/two\" is over 0 bytes", ERR_LIMIT },
		{ { 5, 1, 1, 200, 100, 100, 8 }, NULL, "\"one\" all are over 1 bytes", ERR_LIMIT },
		{ { 5, 10, 10, 200, 100, 4, 8 }, NULL, "path over 4 bytes", ERR_LIMIT },
		{ { 5, 10, 10, 200, 100, 100, 1 }, NULL, "over 1 folders deep", ERR_LIMIT },
		{ { 9, 10, 10, 200, 100, 100, 8 }, "../x", "leaves the archive", ERR_FORMAT },
		{ { 9, 10, 10, 200, 100, 100, 8 }, "/etc/passwd", "leaves", ERR_FORMAT },
		{ { 9, 10, 10, 200, 100, 100, 8 }, "nothing", "points at nothing", ERR_FORMAT },
		{ { 9, 10, 10, 200, 100, 100, 8 }, ".", "folder that it is in", ERR_FORMAT },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP(buf_release) struct buf bytes = BUF_INIT(1 << 20);
		struct sums sums;
		char folder[96];
		struct err err;

		(void)snprintf(folder, sizeof(folder), "%s/%zu", f->dir, i);
		fill(folder, 0644);
		if (rows[i].target)
			make_link(rows[i].target, folder, "zlink");
		assert_int_equal(pack(f, folder, &rows[i].limits, &sums, &bytes, &err), -1);
		if (err.kind != rows[i].kind || !strstr(err.msg, rows[i].says))
			fail_msg("%zu: %s", i, err.msg);
	}
}

static void what_is_no_file(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf bytes = BUF_INIT(1 << 20);
	struct sums sums;
	char folder[96], path[160];
	struct err err;

	(void)snprintf(folder, sizeof(folder), "%s/a", f->dir);
	fill(folder, 0644);
	(void)snprintf(path, sizeof(path), "%s/pipe", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(pack(f, folder, &store_default_limits, &sums, &bytes, &err), -1);
	assert_non_null(strstr(err.msg, "\"pipe\" is a fifo"));
}

static void cancelled(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf bytes = BUF_INIT(1 << 20);
	struct sums sums;
	char folder[96];
	struct err err;

	(void)snprintf(folder, sizeof(folder), "%s/a", f->dir);
	fill(folder, 0644);
	cancel_raise(f->cancel);
	assert_int_equal(pack(f, folder, &store_default_limits, &sums, &bytes, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
}

/* What is tried leaves nothing behind, whether it is good or not. */
static void an_archive_is_tried(void **state)
{
	static const struct item good[] = { { "a/b", AE_IFREG, "x", false },
		                            { NULL, 0, NULL, false } };
	static const struct item bad[] = { { "../b", AE_IFREG, "x", false },
		                           { NULL, 0, NULL, false } };
	struct fixture *f = *state;
	char scratch[96], path[96];
	struct err err;

	(void)snprintf(scratch, sizeof(scratch), "%s/scratch", f->dir);
	(void)snprintf(path, sizeof(path), "%s/x.tar", f->dir);
	assert_int_equal(mkdir(scratch, 0700), 0);
	for (int is_good = 0; is_good < 2; is_good++) {
		CLEANUP(cleanup_fd) int fd = -1;

		build(path, is_good ? good : bad);
		fd = open(path, O_RDONLY);
		assert_true(fd >= 0);
		assert_int_equal(
			store_try_archive(fd, scratch, &store_default_limits, f->cancel, &err),
			is_good ? 0 : -1);
		assert_int_equal(count_files(scratch), 0);
	}
	assert_int_equal(err.kind, ERR_FORMAT);
	assert_non_null(strstr(err.msg, "\"../b\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(same_files_same_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_packed_is_published, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_and_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelled, setup, teardown),
		cmocka_unit_test_setup_teardown(an_archive_is_tried, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
