/* What was verified and is read from disk again: downloads, and archives that became objects. */
#include "harness.h"

#include "storage/proven.h"

enum { BYTES_MAX = 8 << 20, NOISE_BYTES = 300000, FILE_BYTES = 300000, BLOCK = 128 * 1024 };

static const char text[] = "the release that comes";

static void noise(unsigned char *bytes, size_t size)
{
	uint32_t x = 1;

	for (size_t i = 0; i < size; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (unsigned char)(x >> 24);
	}
}

static void add_member(struct archive *a, const char *path, const void *bytes, size_t size)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_size(e, (la_int64_t)size);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, bytes, size), size);
	archive_entry_free(e);
}

/* An archive of some blocks, in this format and packed so; `file` as well, unless it is NULL. */
static void make(int format, int filter, const struct buf *file, bool is_alone, struct buf *out)
{
	static unsigned char bytes[BYTES_MAX / 2];
	static unsigned char filler[NOISE_BYTES];
	struct archive *a = archive_write_new();
	size_t size;
	struct err err;

	noise(filler, sizeof(filler));
	assert_int_equal(format == ARCHIVE_FORMAT_TAR ? archive_write_set_format_v7tar(a)
	                                              : archive_write_set_format(a, format),
	                 ARCHIVE_OK);
	assert_int_equal(archive_write_add_filter(a, filter), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(a, bytes, sizeof(bytes), &size), ARCHIVE_OK);
	if (file)
		add_member(a, "manifests.tgz", file->data, file->size);
	if (!is_alone) {
		add_member(a, "roar/noise", filler, sizeof(filler));
		add_member(a, "roar/versions.yaml", text, sizeof(text) - 1);
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	assert_int_equal(buf_add(out, bytes, size, &err), 0);
}

static void flip(const char *path, size_t at)
{
	int fd = open(path, O_RDWR);
	unsigned char byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	assert_int_equal(close(fd), 0);
}

/* The download that is under way. */
static void flip_download(struct fixture *f, size_t at)
{
	char dir[80], path[400];
	const struct dirent *e;
	unsigned count = 0;
	DIR *d;

	(void)snprintf(dir, sizeof(dir), "%s/tmp", f->dir);
	d = opendir(dir);
	assert_non_null(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		flip(path, at);
		count++;
	}
	closedir(d);
	assert_int_equal(count, 1);
}

/* Publish these bytes, of which one changes on disk once they are written; SIZE_MAX: none does. */
static int publish_changed(struct fixture *f, enum digest_algorithm algorithm,
                           const struct buf *bytes, size_t at, struct err *err)
{
	struct digest layer;
	struct store_source source = { "1.0.0", "", &layer, &layer, NULL, 0, NULL };
	struct store_download *download;
	struct store_release release;
	int failed;

	assert_int_equal(digest_of(algorithm, bytes->data, bytes->size, &layer, err), 0);
	download = store_download_open(f->store, &layer, bytes->size, err);
	assert_non_null(download);
	/* Nothing of the one before was left to be gone on with. */
	assert_int_equal(store_download_held(download), 0);
	assert_int_equal(store_download_write(download, bytes->data, bytes->size, err), 0);
	if (at != SIZE_MAX)
		flip_download(f, at);
	failed = store_publish(f->store, &source, download, f->cancel, &release, err);
	store_download_free(download);
	return failed;
}

static void check_nothing_changed(struct fixture *f, unsigned objects, const char *what,
                                  const struct err *err)
{
	if (err->kind != ERR_DIGEST || !strstr(err->msg, "the download changed on disk"))
		fail_msg("%s: %s", what, err->msg);
	assert_int_equal(count_in(f, "objects"), objects);
	assert_int_equal(count_in(f, "tmp"), 0);
	assert_int_equal(count_in(f, "releases"), 1);
	assert_string_equal(look(f, "roar/versions.yaml"), "base");
}

static void a_download_that_changes_is_not_taken(void **state)
{
	enum { TAR = ARCHIVE_FORMAT_TAR_USTAR, ZIP = ARCHIVE_FORMAT_ZIP, MORE = 1 << 20 };
	/* RFC 8878, 3.1.2: a frame of 1 MiB with its head, to be skipped. */
	static const char skipped[] = "\x50\x2a\x4d\x18\xf8\xff\x0f";
	static const char none[8];
	static const struct {
		const char *what;
		int format, filter;
		enum digest_algorithm algorithm;
		size_t more;      /* bytes behind the archive's end */
		const char *head; /* the first 8 of these; then zeros */
	} cases[] = {
		{ "gzip", TAR, ARCHIVE_FILTER_GZIP, DIGEST_SHA256, MORE, none },
		{ "gzip, SHA-512", TAR, ARCHIVE_FILTER_GZIP, DIGEST_SHA512, MORE, none },
		{ "xz", TAR, ARCHIVE_FILTER_XZ, DIGEST_SHA256, MORE, none },
		{ "zstd", TAR, ARCHIVE_FILTER_ZSTD, DIGEST_SHA256, MORE, skipped },
		{ "tar", TAR, ARCHIVE_FILTER_NONE, DIGEST_SHA256, MORE, none },
		{ "tar, SHA-512", TAR, ARCHIVE_FILTER_NONE, DIGEST_SHA512, MORE, none },
		{ "tar, Unix V7", ARCHIVE_FORMAT_TAR, ARCHIVE_FILTER_NONE, DIGEST_SHA256, MORE,
		  none },
		{ "zip", ZIP, ARCHIVE_FILTER_NONE, DIGEST_SHA256, 1000, none },
		{ "zip, SHA-512", ZIP, ARCHIVE_FILTER_NONE, DIGEST_SHA512, 1000, none },
	};
	static const char zeros[1 << 20];
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buf_release) struct buf archive = BUF_INIT(BYTES_MAX);
		size_t places[10] = { 0, 3, 120, 300 }; /* and those that depend on its size */
		unsigned objects;
		struct err err = { .msg = "" };

		assert_int_equal(publish(f, "1.0.0", base_items, &err), 0);
		objects = count_in(f, "objects");
		make(cases[i].format, cases[i].filter, NULL, false, &archive);
		places[4] = archive.size / 4;
		places[5] = archive.size / 2;
		places[6] = archive.size - 300;
		places[7] = archive.size - 5;
		places[8] = archive.size + cases[i].more / 2;
		places[9] = archive.size + cases[i].more - 1;
		assert_int_equal(buf_add(&archive, zeros, cases[i].more, &err), 0);
		memcpy(archive.data + archive.size - cases[i].more, cases[i].head, 8);
		for (size_t k = 0; k < sizeof(places) / sizeof(places[0]); k++) {
			if (!publish_changed(f, cases[i].algorithm, &archive, places[k], &err))
				fail_msg("%s: byte %zu of %zu is taken", cases[i].what, places[k],
				         archive.size);
			check_nothing_changed(f, objects, cases[i].what, &err);
		}
		if (publish_changed(f, cases[i].algorithm, &archive, SIZE_MAX, &err))
			fail_msg("%s: %s", cases[i].what, err.msg);
		assert_string_equal(look(f, "roar/versions.yaml"), text);
	}
}

/* A download that is whole is not the disk's fault, whatever is wrong with the archive. */
static void a_whole_one_is_judged_as_before(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf archive = BUF_INIT(BYTES_MAX);
	struct err err = { .msg = "" };

	make(ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_GZIP, NULL, false, &archive);
	archive.data[archive.size / 2] ^= 1;
	assert_int_equal(publish_changed(f, DIGEST_SHA256, &archive, SIZE_MAX, &err), -1);
	assert_int_equal(err.kind, ERR_FORMAT);
	assert_int_equal(count_in(f, "objects"), 0);
	assert_int_equal(count_in(f, "tmp"), 0);
}

/* It is shared with a release that has it as a file, and has changed since. */
static void an_inner_archive_that_changed_is_not_taken(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf inner = BUF_INIT(BYTES_MAX);
	CLEANUP(buf_release) struct buf beside = BUF_INIT(BYTES_MAX);
	CLEANUP(buf_release) struct buf alone = BUF_INIT(BYTES_MAX);
	struct digest digest;
	char hex[DIGEST_TEXT_SIZE], path[256];
	struct err err = { .msg = "" };

	make(ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_GZIP, NULL, false, &inner);
	make(ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE, &inner, false, &beside);
	make(ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE, &inner, true, &alone);
	assert_int_equal(digest_of(DIGEST_SHA256, inner.data, inner.size, &digest, &err), 0);
	(void)digest_hex(&digest, hex);
	(void)snprintf(path, sizeof(path), "%s/objects/%.2s/%s", f->dir, hex, hex + 2);
	/* The first byte: it looks like no archive any more. */
	for (size_t at = 0; at < inner.size; at += inner.size / 2 - 1) {
		unsigned objects;

		memset(f->events, 0, sizeof(f->events));
		assert_int_equal(publish_bytes(f, "1.0.0", beside.data, beside.size, &err), 0);
		objects = count_in(f, "objects");
		assert_int_equal(chmod(path, 0640), 0);
		flip(path, at);
		assert_int_equal(publish_bytes(f, "2.0.0", alone.data, alone.size, &err), -1);
		if (err.kind != ERR_DIGEST || !strstr(err.msg, "manifests.tgz in the archive: "))
			fail_msg("byte %zu: %s", at, err.msg);
		assert_int_equal(count_in(f, "releases"), 1);
		assert_int_equal(count_in(f, "tmp"), 0);
		/* It is damage like any other: noted, put aside, and healed by the next try. */
		assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 1);
		assert_int_equal(count_in(f, "objects"), objects - 1);
		assert_int_equal(count_in(f, "quarantine"), 1);
		assert_int_equal(publish_bytes(f, "1.0.0", beside.data, beside.size, &err), 0);
		assert_int_equal(f->events[STORE_OBJECT_HEALED], 1);
		assert_int_equal(publish_bytes(f, "2.0.0", alone.data, alone.size, &err), 0);
		assert_string_equal(look(f, "roar/versions.yaml"), text);
		assert_int_equal(store_remove(f->store, (const char *[]){ "2.0.0" }, 1, &err), 0);
	}
}

/* ---- the file itself ---- */

struct sample {
	char path[96];
	int fd;
	struct digest digest;
	unsigned char bytes[FILE_BYTES];
};

static void sample_init(struct fixture *f, struct sample *sample)
{
	struct err err;

	noise(sample->bytes, FILE_BYTES);
	(void)snprintf(sample->path, sizeof(sample->path), "%s/sample", f->dir);
	sample->fd = open(sample->path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(sample->fd >= 0);
	assert_int_equal(io_write_all(sample->fd, sample->bytes, FILE_BYTES, "sample", &err), 0);
	assert_int_equal(digest_of(DIGEST_SHA256, sample->bytes, FILE_BYTES, &sample->digest, &err),
	                 0);
}

DEFINE_CLEANUP(cleanup_proven, struct proven, proven_free);

/* What was given out counts, not what the file has become since. */
static void in_order_each_byte_counts_as_it_was_read(void **state)
{
	static const struct {
		size_t at;
		bool has_digest, is_found;
	} cases[] = {
		{ 5, true, false }, /* read before it changed */
		{ BLOCK - 1, true, false },
		{ BLOCK, true, true },
		{ FILE_BYTES - 1, true, true },
		{ FILE_BYTES - 1, false, false },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		static struct sample sample;
		CLEANUP(cleanup_proven) struct proven *proven = NULL;
		const void *bytes;
		size_t size;
		struct err err = { .msg = "" };

		sample_init(f, &sample);
		proven = proven_new(sample.fd, cases[i].has_digest ? &sample.digest : NULL,
		                    "the sample", &err);
		assert_non_null(proven);
		assert_int_equal(proven_next(proven, &bytes, &size, &err), 0);
		assert_int_equal(size, BLOCK);
		assert_memory_equal(bytes, sample.bytes, BLOCK);
		flip(sample.path, cases[i].at);
		if (!proven_end(proven, f->cancel, &err) != !cases[i].is_found)
			fail_msg("case %zu: %s", i, err.msg);
		if (cases[i].is_found) {
			assert_int_equal(err.kind, ERR_DIGEST);
			assert_non_null(strstr(err.msg, "the sample changed on disk"));
		}
		assert_int_equal(close(sample.fd), 0);
	}
}

static void in_any_order_each_block_is_compared(void **state)
{
	struct fixture *f = *state;
	static struct sample sample;
	CLEANUP(cleanup_proven) struct proven *proven = NULL;
	const void *bytes;
	size_t size;
	struct err err = { .msg = "" };

	sample_init(f, &sample);
	proven = proven_new(sample.fd, &sample.digest, "the sample", &err);
	assert_non_null(proven);
	assert_int_equal(proven_index(proven, f->cancel, &err), 0);
	assert_int_equal(proven_size(proven), FILE_BYTES);
	flip(sample.path, BLOCK + 1);
	/* The last block, which is short, then the first, from their middle. */
	proven_seek(proven, FILE_BYTES - 10);
	assert_int_equal(proven_next(proven, &bytes, &size, &err), 0);
	assert_int_equal(size, 10);
	assert_memory_equal(bytes, sample.bytes + FILE_BYTES - 10, size);
	assert_int_equal(proven_next(proven, &bytes, &size, &err), 0);
	assert_int_equal(size, 0);
	proven_seek(proven, 100);
	assert_int_equal(proven_next(proven, &bytes, &size, &err), 0);
	assert_int_equal(size, BLOCK - 100);
	assert_memory_equal(bytes, sample.bytes + 100, size);
	assert_int_equal(proven_at(proven), BLOCK);
	/* It changed in the second, at a byte that is not asked for. */
	proven_seek(proven, BLOCK + 1000);
	assert_int_equal(proven_next(proven, &bytes, &size, &err), -1);
	assert_int_equal(err.kind, ERR_DIGEST);
	assert_non_null(strstr(err.msg, "the sample changed on disk"));
	proven_seek(proven, FILE_BYTES + 10);
	assert_int_equal(proven_next(proven, &bytes, &size, &err), 0);
	assert_int_equal(size, 0);
	/* One that was cut off meanwhile. */
	assert_int_equal(ftruncate(sample.fd, FILE_BYTES - 5), 0);
	proven_seek(proven, FILE_BYTES - 10);
	assert_int_equal(proven_next(proven, &bytes, &size, &err), -1);
	assert_int_equal(err.kind, ERR_DIGEST);
	assert_int_equal(close(sample.fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_download_that_changes_is_not_taken, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_whole_one_is_judged_as_before, setup, teardown),
		cmocka_unit_test_setup_teardown(an_inner_archive_that_changed_is_not_taken, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(in_order_each_byte_counts_as_it_was_read, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(in_any_order_each_block_is_compared, setup,
		                                teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
