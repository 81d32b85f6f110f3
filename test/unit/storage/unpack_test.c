/* Unpacking: compressed twins, archives in archives, the ends of gzip data. */
#include "harness.h"

#include <zlib.h>

enum { TEXT_BYTES = 2000, BYTES_MAX = 32 << 20 };

/* A member of an archive; its bytes may be anything. */
struct member {
	const char *path;
	const void *bytes;
	size_t size;
};

/* A pax archive, packed or plain. */
static void pack(struct fixture *f, const struct member *members, size_t count, bool packed,
                 struct buf *out)
{
	struct archive *a = archive_write_new();
	char path[96];
	struct err err;

	(void)snprintf(path, sizeof(path), "%s/archive", f->dir);
	if (packed)
		archive_write_add_filter_gzip(a);
	archive_write_set_format_pax_restricted(a);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	for (size_t i = 0; i < count; i++) {
		struct archive_entry *e = archive_entry_new();

		archive_entry_set_pathname(e, members[i].path);
		archive_entry_set_filetype(e, AE_IFREG);
		archive_entry_set_perm(e, 0644);
		archive_entry_set_size(e, (la_int64_t)members[i].size);
		assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
		assert_int_equal(archive_write_data(a, members[i].bytes, members[i].size),
		                 members[i].size);
		archive_entry_free(e);
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	assert_int_equal(io_read_file(AT_FDCWD, path, out, &err), 0);
	assert_int_equal(unlink(path), 0);
}

static void publish_well(struct fixture *f, const char *tag, const struct buf *archive)
{
	struct err err;

	if (publish_bytes(f, tag, archive->data, archive->size, &err))
		fail_msg("%s", err.msg);
}

static char *yaml(size_t size)
{
	char *text = malloc(size + 32);
	size_t at = 0;

	assert_non_null(text);
	for (unsigned i = 0; at < size; i++)
		at += (size_t)sprintf(text + at, "key-%u: value\n", i);
	return text;
}

static void unzip(const void *packed, size_t size, const char *expected, size_t expected_size)
{
	char *text = malloc(expected_size + 1);
	z_stream z = { .next_in = (unsigned char *)(uintptr_t)packed,
		       .avail_in = (uInt)size,
		       .next_out = (unsigned char *)text,
		       .avail_out = (uInt)expected_size + 1 };

	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, expected_size);
	assert_memory_equal(text, expected, expected_size);
	inflateEnd(&z);
	free(text);
}

static const struct store_entry *find(const struct store_view *view, const char *path)
{
	const struct store_entry *entry = store_view_find(view, path, strlen(path));

	assert_non_null(entry);
	return entry;
}

/* It is the same on each replica: without name, time and system. */
static void check_twin(struct fixture *f, const struct store_entry *entry, const char *text,
                       size_t size)
{
	CLEANUP(cleanup_free) char *packed = malloc(entry->twin_size);
	struct store_content content;
	struct err err = { .msg = "" };

	assert_true(entry->twin_size <= entry->size - entry->size / 10);
	assert_int_equal(store_twin_open(f->store, entry, &content, &err), 0);
	if (content.bytes)
		memcpy(packed, content.bytes, entry->twin_size);
	for (size_t at = 0, part; content.reader && at < entry->twin_size; at += part)
		assert_int_equal(store_content_read(&content, at, packed + at,
		                                    entry->twin_size - at, &part, &err),
		                 0);
	store_content_release(&content);
	unzip(packed, entry->twin_size, text, size);
	assert_memory_equal(packed, "\x1f\x8b\x08\0\0\0\0\0\x02\xff", 10);
}

static void texts_get_a_twin(void **state)
{
	static const struct {
		const char *start; /* stands in front of the yaml */
		size_t size;
		bool has_twin;
	} cases[] = {
		{ "", TEXT_BYTES, true },
		{ "", 1024, true },
		{ "", 1023, false },
		{ "\tgr\xc3\xbc\xc3\x9f\x65\r\n\f", TEXT_BYTES, true },
		{ "\xf0\x9f\x98\x80\xe2\x82\xac", TEXT_BYTES, true },
		{ "\x01", TEXT_BYTES, false },
		{ "\x7f", TEXT_BYTES, false },
		{ "\xc3(", TEXT_BYTES, false },
		{ "\xc0\x80", TEXT_BYTES, false },
		{ "\xe0\x80\x80", TEXT_BYTES, false },
		{ "\xed\xa0\x80", TEXT_BYTES, false },
		{ "\xf4\x90\x80\x80", TEXT_BYTES, false },
		{ "\xf8\x88\x80\x80\x80", TEXT_BYTES, false },
		{ "\x1f\x8b\x08", TEXT_BYTES, false },
		{ "", 16 << 20, true },
		{ "", (16 << 20) + 1, false },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buf_release) struct buf archive = BUF_INIT(BYTES_MAX);
		CLEANUP(cleanup_free) char *text = yaml(cases[i].size);
		struct member members[] = { { "text", text, cases[i].size } };
		struct store_view *view;
		const struct store_entry *entry;

		memcpy(text, cases[i].start, strlen(cases[i].start));
		pack(f, members, 1, true, &archive);
		publish_well(f, "1.0.0", &archive);
		view = store_view_get(f->store);
		entry = find(view, "text");
		if ((entry->twin_size != 0) != cases[i].has_twin)
			fail_msg("case %zu: a twin of %u bytes", i, (unsigned)entry->twin_size);
		/* What was before is swept, the twin is not. */
		assert_int_equal(count_in(f, "objects"), 1 + cases[i].has_twin);
		if (cases[i].has_twin) {
			assert_true(entry->twin_size <= entry->size - entry->size / 10);
			check_twin(f, entry, text, cases[i].size);
		}
		store_view_put(view);
	}
}

static void noise_gets_none(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf archive = BUF_INIT(BYTES_MAX);
	char text[1030];
	const struct member members[] = { { "noise", text, sizeof(text) } };
	struct store_view *view;
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(text); i += 2) {
		x = x * 1664525 + 1013904223;
		text[i] = (char)(x >> 31 ? 0xc2 + (x >> 16) % 30 : 0x20 + (x >> 16) % 95);
		text[i + 1] = (char)(x >> 31 ? 0x80 + (x >> 8) % 64 : 0x20 + (x >> 8) % 95);
	}
	pack(f, members, 1, true, &archive);
	publish_well(f, "1.0.0", &archive);
	view = store_view_get(f->store);
	assert_int_equal(find(view, "noise")->twin_size, 0);
	store_view_put(view);
	assert_int_equal(count_in(f, "objects"), 1);
	assert_int_equal(count_in(f, "tmp"), 0);
}

/* Flip the first byte of an object's file, or remove it. */
static void harm(struct fixture *f, const struct digest *digest, bool is_to_go)
{
	char hex[DIGEST_TEXT_SIZE], path[256];
	int fd;

	(void)digest_hex(digest, hex);
	(void)snprintf(path, sizeof(path), "%s/objects/%.2s/%s", f->dir, hex, hex + 2);
	if (is_to_go) {
		assert_int_equal(unlink(path), 0);
		return;
	}
	assert_int_equal(chmod(path, 0640), 0);
	fd = open(path, O_WRONLY);
	assert_int_equal(write(fd, "?", 1), 1);
	assert_int_equal(close(fd), 0);
}

static void a_damaged_twin_takes_nothing_away(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf archive = BUF_INIT(BYTES_MAX);
	CLEANUP(cleanup_free) char *text = yaml(TEXT_BYTES);
	const struct member members[] = { { "text", text, TEXT_BYTES } };
	struct store_release release;
	struct err err;

	pack(f, members, 1, true, &archive);
	for (int is_to_go = 0; is_to_go < 2; is_to_go++) {
		struct store_view *view;
		struct store_entry entry;
		struct store_content content;
		struct digest twin;

		memset(f->events, 0, sizeof(f->events));
		publish_well(f, "1.0.0", &archive);
		assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), 0);
		view = store_view_get(f->store);
		entry = *find(view, "text");
		twin = store_twin_digest(&entry);
		harm(f, &twin, is_to_go);
		assert_int_equal(store_twin_open(f->store, &entry, &content, &err), -1);
		assert_int_equal(err.kind, ERR_DIGEST);
		assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 1);
		assert_int_equal(store_content_open(f->store, &entry, &content, &err), 0);
		assert_memory_equal(content.bytes, text, TEXT_BYTES);
		store_content_release(&content);
		store_view_put(view);
		/* So sync fetches it again; also after a restart. */
		assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), -1);
		assert_int_equal(err.kind, ERR_NOT_FOUND);
		assert_non_null(strstr(err.msg, "text"));
		store_close(f->store);
		open_store(f);
		first_sweep(f);
		assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 2);
		assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), -1);
	}
	publish_well(f, "1.0.0", &archive);
	assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), 0);
}

/* Over the view that is there, to another tag of the same layer, and after a restart. */
static void twins_are_carried_on(void **state)
{
	static const char *const paths[] = { "a/text", "text" };
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf archive = BUF_INIT(BYTES_MAX);
	CLEANUP(buf_release) struct buf other = BUF_INIT(BYTES_MAX);
	CLEANUP(cleanup_free) char *text = yaml(TEXT_BYTES);
	const struct member members[] = { { "a/text", text, TEXT_BYTES },
		                          { "text", text, TEXT_BYTES } };
	const struct member more[] = { { "zzz", "more", 4 } };
	struct store_release release;
	struct store_source source = { .tag = "3.0.0", .created = "" };
	uint64_t swept;
	struct err err;

	pack(f, members, 2, true, &archive);
	pack(f, more, 1, true, &other);
	publish_well(f, "1.0.0", &archive);
	publish_well(f, "2.0.0", &other);
	assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), 0);
	source.manifest = source.layer = &release.layer;
	for (int turn = 0; turn < 3; turn++) {
		struct store_view *view = store_view_get(f->store);

		assert_int_equal(store_view_release_count(view), turn ? 3 : 2);
		for (size_t i = 0; i < 2; i++) {
			const struct store_entry *entry = find(view, paths[i]);

			assert_int_equal(entry->release, turn ? 2 : 0);
			check_twin(f, entry, text, TEXT_BYTES);
		}
		assert_int_equal(find(view, "zzz")->twin_size, 0);
		store_view_put(view);
		assert_int_equal(store_collect(f->store, &swept, &err), 0);
		assert_int_equal(swept, 0);
		if (!turn) {
			assert_int_equal(store_republish(f->store, &source, &release, &err), 0);
		} else {
			store_close(f->store);
			open_store(f);
		}
	}
	assert_int_equal(f->events[STORE_OBJECT_DAMAGED], 0);
}

/* As the version before wrote them: without lines for twins. */
static void releases_without_twins_load(void **state)
{
	static const char digest[] =
		"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"; /* of "x" */
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
	const struct item items[] = { { "x", AE_IFREG, "x", false }, { NULL, 0, NULL, false } };
	char path[96], hex[DIGEST_TEXT_SIZE];
	struct digest end;
	struct err err;

	assert_int_equal(publish(f, "1.0.0", items, &err), 0);
	assert_int_equal(buf_addf(&text, &err,
	                          "#mtree\n# specman-release 1\n# tag 0.9.0\n# manifest sha256:%s\n"
	                          "# layer sha256:%s\n# created \n. type=dir mode=0755\n"
	                          "./old type=file mode=0644 size=1 time=7.0 sha256digest=%s "
	                          "contents=objects/2d/%s\n",
	                          digest, digest, digest, digest + 2),
	                 0);
	assert_int_equal(digest_of(DIGEST_SHA256, text.data, text.size, &end, &err), 0);
	assert_int_equal(buf_addf(&text, &err, "# end sha256:%s\n", digest_hex(&end, hex)), 0);
	store_close(f->store);
	(void)snprintf(path, sizeof(path), "%s/releases/0.9.0.mtree", f->dir);
	assert_int_equal(io_replace_file(AT_FDCWD, path, text.data, text.size, 0640, &err), 0);
	open_store(f);
	assert_string_equal(look(f, "old"), "x");
	assert_int_equal(f->events[STORE_RELEASE_BROKEN], 0);
}

static void an_archive_in_an_archive(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf inner = BUF_INIT(BYTES_MAX);
	CLEANUP(buf_release) struct buf middle = BUF_INIT(BYTES_MAX);
	const struct member files[] = { { "roar/a", "text", 4 }, { "roar/b", "more", 4 } };
	struct {
		struct member members[2];
		size_t count;
		const char *path, *text; /* what is served then; NULL: it is refused */
	} cases[] = {
		{ { { "manifests.tgz", NULL, 0 } }, 1, "roar/a", "text" },
		{ { { "./deep/in/MANIFESTS.TAR.GZ", NULL, 0 } }, 1, "roar/b", "more" },
		{ { { "manifests.bin", NULL, 0 } }, 1, "roar/a", "<none>" },
		{ { { "manifests.tgz", NULL, 0 }, { "b", "other", 5 } }, 2, "b", "other" },
		{ { { "manifests.tgz", NULL, 0 }, { "b", "other", 5 } }, 2, "roar/a", "<none>" },
		{ { { "manifests.tgz", "no archive", 10 } }, 1, "manifests.tgz", "no archive" },
		{ { { "manifests.tgz", "\x1f\x8b but broken", 13 } }, 1, NULL, NULL },
		{ { { "a.tar", NULL, 1 } }, 1, "roar/a", "<none>" }, /* one level, not two */
	};
	struct store_view *view;

	pack(f, files, 2, true, &inner);
	pack(f, &(struct member){ "manifests.tgz", inner.data, inner.size }, 1, false, &middle);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buf_release) struct buf outer = BUF_INIT(BYTES_MAX);
		struct member *first = &cases[i].members[0];
		struct err err = { .msg = "" };
		int failed;

		if (!first->bytes) {
			const struct buf *content = first->size ? &middle : &inner;

			first->bytes = content->data;
			first->size = content->size;
		}
		pack(f, cases[i].members, cases[i].count, true, &outer);
		failed = publish_bytes(f, "1.0.0", outer.data, outer.size, &err);
		if (!failed != (cases[i].path != NULL))
			fail_msg("case %zu: %s", i, err.msg);
		if (failed)
			assert_non_null(strstr(err.msg, "manifests.tgz in the archive"));
		else if (strcmp(look(f, cases[i].path), cases[i].text) != 0)
			fail_msg("case %zu: %s", i, look(f, cases[i].path));
		assert_int_equal(count_in(f, "tmp"), 0);
	}
	view = store_view_get(f->store);
	assert_int_equal(find(view, "manifests.tgz")->size, inner.size);
	store_view_put(view);
}

static void limits_count_over_both_levels(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf inner = BUF_INIT(BYTES_MAX);
	CLEANUP(buf_release) struct buf outer = BUF_INIT(BYTES_MAX);
	CLEANUP(cleanup_free) char *zeros = calloc(1, 8 << 20);
	struct err err;

	pack(f, &(struct member){ "zeros", zeros, 8 << 20 }, 1, true, &inner);
	pack(f, &(struct member){ "m.tgz", inner.data, inner.size }, 1, true, &outer);
	assert_int_equal(publish_bytes(f, "1.0.0", outer.data, outer.size, &err), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_non_null(strstr(err.msg, "zeros"));
	assert_int_equal(count_in(f, "objects"), 0);
	assert_int_equal(count_in(f, "tmp"), 0);
}

static void ends_of_gzip_data(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf good = BUF_INIT(BYTES_MAX);
	CLEANUP(cleanup_free) char *text = yaml(TEXT_BYTES);
	const struct member members[] = { { "text", text, TEXT_BYTES } };
	static const struct {
		int from_end; /* the byte to flip, 0 for none */
		size_t cut;
		const char *more;
		size_t more_size;
		const char *says; /* NULL: it is fine */
	} cases[] = {
		{ 0, 0, "", 0, NULL },
		{ 8, 0, "", 0, "incorrect data check" },
		{ 1, 0, "", 0, "incorrect length check" },
		{ 0, 1, "", 0, "cut off" },
		{ 0, 8, "", 0, "cut off" },
		{ 0, 100, "", 0, "cut off" },
		{ 0, 0, "\0\0\0\0", 4, NULL },
		{ 0, 0, "garbage", 7, "other bytes follow" },
		{ 0, 0, "\0\0x", 3, "other bytes follow" },
		{ 0, 0, "\x1f", 1, "cut off" },
		{ 0, 0, "\x1f\x8c", 2, "incorrect header check" },
		/* An empty member of its own. */
		{ 0, 0, "\x1f\x8b\x08\0\0\0\0\0\0\xff\x03\0\0\0\0\0\0\0\0\0", 20, NULL },
		{ 0, 0, "\x1f\x8b\x08\0\0\0\0\0\0\xff\x03\0\0\0\0\0\1\0\0\0", 20, "length" },
	};

	pack(f, members, 1, true, &good);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buf_release) struct buf archive = BUF_INIT(BYTES_MAX);
		struct err err = { .msg = "" };
		int failed;

		assert_int_equal(buf_add(&archive, good.data, good.size - cases[i].cut, &err), 0);
		if (cases[i].from_end)
			archive.data[archive.size - (size_t)cases[i].from_end] ^= 1;
		assert_int_equal(buf_add(&archive, cases[i].more, cases[i].more_size, &err), 0);
		failed = publish_bytes(f, "1.0.0", archive.data, archive.size, &err);
		if (!failed != !cases[i].says || (failed && !strstr(err.msg, cases[i].says)))
			fail_msg("case %zu: %s", i, err.msg);
	}
}

/* Behind the archive's end, blocks away from it. */
static void what_follows_the_end_counts(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf archive = BUF_INIT(BYTES_MAX);
	CLEANUP(cleanup_free) unsigned char *zeros = calloc(1, 4 << 20);
	unsigned char packed[16384];
	z_stream z = { .next_in = zeros,
		       .avail_in = 4 << 20,
		       .next_out = packed,
		       .avail_out = sizeof(packed) };
	const struct member members[] = { { "text", "text", 4 } };
	struct err err;

	pack(f, members, 1, true, &archive);
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(deflateEnd(&z), Z_OK);
	assert_int_equal(buf_add(&archive, packed, z.total_out, &err), 0);
	publish_well(f, "1.0.0", &archive);
	archive.data[archive.size - 8] ^= 1;
	assert_int_equal(publish_bytes(f, "1.0.0", archive.data, archive.size, &err), -1);
	assert_non_null(strstr(err.msg, "data check"));
}

static void a_hidden_twin_is_kept(void **state)
{
	static const char *const newer[] = { "2.0.0" };
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf archive = BUF_INIT(BYTES_MAX);
	CLEANUP(cleanup_free) char *text = yaml(TEXT_BYTES);
	const struct member members[] = { { "text", text, TEXT_BYTES } };
	const struct item items[] = { { "text", AE_IFREG, "new", false },
		                      { NULL, 0, NULL, false } };
	struct store_view *view;
	uint64_t swept;
	struct err err;

	pack(f, members, 1, true, &archive);
	publish_well(f, "1.0.0", &archive);
	assert_int_equal(publish(f, "2.0.0", items, &err), 0);
	assert_string_equal(look(f, "text"), "new");
	assert_int_equal(store_remove(f->store, newer, 1, &err), 0);
	assert_int_equal(store_collect(f->store, &swept, &err), 0);
	view = store_view_get(f->store);
	check_twin(f, find(view, "text"), text, TEXT_BYTES);
	store_view_put(view);
}

/* What a worker meets is the error of the whole, whatever waits behind it. */
static void a_worker_that_fails_ends_it(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf archive = BUF_INIT(BYTES_MAX);
	struct member members[900];
	char texts[900][8], path[96];
	struct err err;

	for (unsigned i = 0; i < 900; i++) {
		(void)snprintf(texts[i], sizeof(texts[i]), "%u", i);
		members[i] = (struct member){ texts[i], texts[i], strlen(texts[i]) };
	}
	pack(f, members, 900, true, &archive);
	for (unsigned i = 0; i < 256; i++) { /* files where folders belong */
		(void)snprintf(path, sizeof(path), "%s/objects/%02x", f->dir, i);
		assert_int_equal(close(open(path, O_WRONLY | O_CREAT, 0600)), 0);
	}
	{
		struct store_download *download;
		struct digest layer;
		const struct store_source source = { "1.0.0", "", &layer, &layer, NULL, 0, NULL };
		struct store_release release;

		assert_int_equal(digest_of(DIGEST_SHA256, archive.data, archive.size, &layer, &err),
		                 0);
		download = store_download_open(f->store, &layer, archive.size, &err);
		assert_non_null(download);
		assert_int_equal(store_download_write(download, archive.data, archive.size, &err),
		                 0);
		assert_int_equal(
			store_publish(f->store, &source, download, f->cancel, &release, &err), -1);
		assert_int_equal(err.kind, ERR_IO);
		assert_non_null(strstr(err.msg, "objects/"));
		cancel_raise(f->cancel);
		assert_int_equal(
			store_publish(f->store, &source, download, f->cancel, &release, &err), -1);
		assert_int_equal(err.kind, ERR_CANCELLED);
		store_download_free(download);
	}
	assert_int_equal(count_in(f, "tmp"), 1); /* the download, which the next try goes on with */
	assert_int_equal(count_in(f, "releases"), 0);
}

/* Set the time of a plain archive's first entry: base-256, as GNU tar writes what octal can't hold.
 */
static void set_time(struct buf *archive, const unsigned char time[static 12])
{
	unsigned char *head = (unsigned char *)archive->data;
	unsigned sum = 0;

	memcpy(head + 136, time, 12);
	memset(head + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += head[i];
	(void)snprintf((char *)head + 148, 8, "%06o", sum);
}

/* What is written of a release can be read again, whatever its archive says of times. */
static void times_that_no_calendar_has(void **state)
{
	static const unsigned char times[][12] = {
		{ 0xff },       /* INT64_MIN, which has no opposite */
		{ 0x80, 0xff }, /* INT64_MAX */
		{ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe }, /* -2 */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		CLEANUP(buf_release) struct buf archive = BUF_INIT(BYTES_MAX);
		char text[8];
		const struct member members[] = { { "file", text, 1 } };

		(void)snprintf(text, sizeof(text), "%zu", i);
		pack(f, members, 1, false, &archive);
		set_time(&archive, times[i]);
		publish_well(f, "1.0.0", &archive);
		assert_string_equal(look(f, "file"), text);
		assert_int_equal(f->events[STORE_RELEASE_BROKEN], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(texts_get_a_twin, setup, teardown),
		cmocka_unit_test_setup_teardown(noise_gets_none, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_twin_takes_nothing_away, setup, teardown),
		cmocka_unit_test_setup_teardown(twins_are_carried_on, setup, teardown),
		cmocka_unit_test_setup_teardown(releases_without_twins_load, setup, teardown),
		cmocka_unit_test_setup_teardown(an_archive_in_an_archive, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_count_over_both_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_of_gzip_data, setup, teardown),
		cmocka_unit_test_setup_teardown(what_follows_the_end_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hidden_twin_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_worker_that_fails_ends_it, setup, teardown),
		cmocka_unit_test_setup_teardown(times_that_no_calendar_has, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
