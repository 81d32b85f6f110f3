/* Image layouts in a folder: good ones, broken ones, and ones that change or lie. */
#include "layout_fixture.h"

#include "oci/limits.h"

#define A          "{\"schemaVersion\":2,\"layers\":[\"a\"]}"
#define B          "{\"schemaVersion\":2,\"layers\":[\"b\"]}"
#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"

/* A sink in memory. */
struct memory {
	struct buf bytes;
	struct cancel *stop; /* raised by the first write, or NULL */
};

static int remember(void *ctx, const void *bytes, size_t size, struct err *err)
{
	struct memory *memory = ctx;

	if (memory->stop)
		cancel_raise(memory->stop);
	return buf_add(&memory->bytes, bytes, size, err);
}

static int take_back(void *ctx, struct err *err)
{
	struct memory *memory = ctx;

	(void)err;
	buf_clear(&memory->bytes);
	return 0;
}

static int ask_tags(struct fixture *f, struct oci_tags *out_tags, struct err *err)
{
	*err = (struct err){ .kind = ERR_NONE };
	return f->source.ops->tags(f->source.self, out_tags, err);
}

/* The tags are these, in their order. */
static void expect_tags(struct fixture *f, const char *const *wanted, size_t count)
{
	CLEANUP(oci_tags_release) struct oci_tags tags = { .names = NULL };
	struct err err;

	if (ask_tags(f, &tags, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(tags.count, count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(tags.names[i], wanted[i]);
}

static void expect_failure(struct fixture *f, enum err_kind kind, int cause, const char *says)
{
	struct oci_tags tags;
	struct err err;

	assert_int_equal(ask_tags(f, &tags, &err), -1);
	if (err.kind != kind || err.cause != cause || !strstr(err.msg, says))
		fail_msg("%s: kind %d cause %d: %s", says, err.kind, err.cause, err.msg);
}

static struct oci_resolved resolve(struct fixture *f, const char *tag)
{
	struct oci_resolved result;
	char name[160];
	char *names[] = { name };

	(void)snprintf(name, sizeof(name), "%s", tag);
	f->source.ops->resolve(f->source.self, names, 1, &result);
	return result;
}

static void expect_resolved(struct fixture *f, const char *tag, const struct digest *digest)
{
	struct oci_resolved result = resolve(f, tag);

	if (result.failed)
		fail_msg("%s", result.err.msg);
	assert_true(digest_equal(&result.digest, digest));
}

static int ask_blob(struct fixture *f, const struct oci_descriptor *blob, struct memory *memory,
                    int64_t behind, struct err *err)
{
	const struct oci_sink sink = { .write = remember, .restart = take_back, .ctx = memory };
	CLEANUP(pull_release) struct pull pull;
	int failed;

	assert_int_equal(pull_init(&pull, blob, &sink, NULL, err), 0);
	pull.received = behind;
	*err = (struct err){ .kind = ERR_NONE };
	failed = f->source.ops->blob(f->source.self, &pull, err);
	assert_int_equal(pull.received, behind + (int64_t)memory->bytes.size);
	return failed;
}

static void lists_and_resolves(void **state)
{
	static const char *const tags[] = { "4.5.15", "0.0.0", "v1_x" };
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf body = BUF_INIT(LIMIT_MANIFEST_BYTES);
	CLEANUP(cleanup_free) char *type = NULL;
	struct digest a, b;
	struct err err;

	make_folders(f->dir);
	a = put_blob(f->dir, DIGEST_SHA256, A, sizeof(A) - 1);
	b = put_blob(f->dir, DIGEST_SHA512, B, sizeof(B) - 1);
	add_named(f, &a, sizeof(A) - 1, "4.5.15");
	add_named(f, &b, sizeof(B) - 1, "0.0.0");
	add_named(f, &a, sizeof(A) - 1, "v1_x");
	add_entry(f, &a, sizeof(A) - 1, "");
	put_index(f);

	expect_tags(f, tags, LEN(tags));
	expect_resolved(f, "4.5.15", &a);
	expect_resolved(f, "v1_x", &a);
	expect_resolved(f, "0.0.0", &b);
	assert_int_equal(resolve(f, "9").err.kind, ERR_NOT_FOUND);
	if (f->source.ops->manifest(f->source.self, &b, &body, &type, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(body.data, B);
	assert_string_equal(type, OCI_TYPE);
	assert_true(f->counters.received_bytes > sizeof(B));
}

static void finds_tags_in_names(void **state)
{
	static const struct {
		const char *name, *tag;
	} rows[] = {
		{ "1", "1" },
		{ "manifest:2", "2" },
		{ "h.example:5000/spectro-packs/manifest:3", "3" },
		{ "h.example:5000/spectro-packs/manifest:4@sha256:00", "4" },
		{ "h.example:5000/spectro-packs/manifest", NULL },
		{ "h.example/manifest@sha256:00", NULL },
		{ "../x", NULL },
		{ "../../etc/passwd", NULL },
		{ "x:..", NULL },
		{ "x:../y", NULL },
		{ "..", NULL },
		{ "-5", NULL },
		{ "5\\r\\nX: y", NULL },
		{ "5\\u0000", NULL },
		{ "", NULL },
		{ ":", NULL },
		{ "@", NULL },
		{ "0123456789012345678901234567890123456789012345678901234567890123456789"
		  "01234567890123456789012345678901234567890123456789012345678",
		  NULL },
	};
	struct fixture *f = *state;
	struct digest a;

	make_folders(f->dir);
	a = put_blob(f->dir, DIGEST_SHA256, A, sizeof(A) - 1);
	for (size_t i = 0; i < LEN(rows); i++) {
		add_named(f, &a, sizeof(A) - 1, rows[i].name);
		put_index(f);
		if (rows[i].tag)
			expect_tags(f, &rows[i].tag, 1);
		else if (strstr(rows[i].name, "\\u0000"))
			expect_failure(f, ERR_FORMAT, OCI_CAUSE_LAYOUT, "index.json: not valid");
		else
			expect_failure(f, ERR_FORMAT, OCI_CAUSE_LAYOUT, "named by a tag");
	}
}

static void knows_containerds_names(void **state)
{
	static const char *const tags[] = { "6", "7" };
	struct fixture *f = *state;
	struct digest a;

	make_folders(f->dir);
	a = put_blob(f->dir, DIGEST_SHA256, A, sizeof(A) - 1);
	add_entry(f, &a, sizeof(A) - 1,
	          "\"annotations\":{\"io.containerd.image.name\":\"docker.io/x/y:6\"}");
	add_entry(f, &a, sizeof(A) - 1,
	          "\"annotations\":{\"io.containerd.image.name\":\"docker.io/x/y:8\","
	          "\"org.opencontainers.image.ref.name\":\"7\"}");
	put_index(f);
	expect_tags(f, tags, LEN(tags));
}

static void leaves_attachments_out(void **state)
{
	static const char *const tags[] = { "1" };
	struct fixture *f = *state;
	char hex[DIGEST_TEXT_SIZE], name[128];
	struct digest a;

	make_folders(f->dir);
	a = put_blob(f->dir, DIGEST_SHA256, A, sizeof(A) - 1);
	(void)snprintf(name, sizeof(name), "sha256-%s.sig", digest_hex(&a, hex));
	add_named(f, &a, sizeof(A) - 1, name);
	add_named(f, &a, sizeof(A) - 1, "1");
	put_index(f);
	expect_tags(f, tags, LEN(tags));
	/* One who verifies asks for them by name. */
	expect_resolved(f, "1", &a);
	expect_resolved(f, name, &a);
}

static void refuses_a_name_for_two(void **state)
{
	static const char *const tags[] = { "1", "2", "3" };
	struct fixture *f = *state;
	struct oci_resolved result;
	struct digest a, b;

	make_folders(f->dir);
	a = put_blob(f->dir, DIGEST_SHA256, A, sizeof(A) - 1);
	b = put_blob(f->dir, DIGEST_SHA256, B, sizeof(B) - 1);
	add_named(f, &a, sizeof(A) - 1, "1");
	add_named(f, &a, sizeof(A) - 1, "2");
	add_named(f, &b, sizeof(B) - 1, "1");
	add_named(f, &b, sizeof(B) - 1, "x:3");
	add_named(f, &b, sizeof(B) - 1, "3");
	add_named(f, &a, sizeof(A) - 1, "1");
	put_index(f);
	expect_tags(f, tags, LEN(tags));
	result = resolve(f, "1");
	assert_int_equal(result.failed, -1);
	assert_int_equal(result.err.kind, ERR_FORMAT);
	assert_int_equal(result.err.cause, OCI_CAUSE_LAYOUT);
	assert_non_null(strstr(result.err.msg, "index.json gives this name to different"));
	expect_resolved(f, "2", &a);
	expect_resolved(f, "3", &b);
}

static void refuses_what_is_no_layout(void **state)
{
	static const struct {
		const char *layout, *index, *says;
	} rows[] = {
		{ NULL, "{}", "no file oci-layout" },
		{ "", "{}", "oci-layout: not valid JSON" },
		{ "[]", "{}", "no imageLayoutVersion" },
		{ "{\"imageLayoutVersion\":1}", "{}", "no imageLayoutVersion" },
		{ "{\"imageLayoutVersion\":\"2.0.0\"}", "{}", "version \"2.0.0\"" },
		{ GOOD, NULL, "no file index.json" },
		{ GOOD, "{\"schemaVersion\":2,\"manifests\":[", "index.json: not valid JSON" },
		{ GOOD, "{\"schemaVersion\":2,\"schemaVersion\":2}", "key twice" },
		{ GOOD, "[]", "schemaVersion" },
		{ GOOD, "{\"schemaVersion\":1,\"manifests\":[]}", "schemaVersion" },
		{ GOOD, "{\"schemaVersion\":2}", "no list of manifests" },
		{ GOOD, "{\"schemaVersion\":2,\"manifests\":{}}", "no list of manifests" },
		{ GOOD, "{\"schemaVersion\":2,\"manifests\":[]}", "none of the 0 manifests" },
		{ GOOD, "{\"schemaVersion\":2,\"manifests\":[7,null,{\"annotations\":7}]}",
		  "skopeo copy … oci:DIR:0.0.0" },
	};
	struct fixture *f = *state;
	char path[512];

	expect_failure(f, ERR_IO, OCI_CAUSE_LAYOUT, "no such folder");
	make_folders(f->dir);
	for (size_t i = 0; i < LEN(rows); i++) {
		(void)snprintf(path, sizeof(path), "%s/oci-layout", f->dir);
		(void)unlink(path);
		(void)snprintf(path, sizeof(path), "%s/index.json", f->dir);
		(void)unlink(path);
		if (rows[i].layout)
			put(f->dir, "oci-layout", rows[i].layout, strlen(rows[i].layout));
		if (rows[i].index)
			put(f->dir, "index.json", rows[i].index, strlen(rows[i].index));
		expect_failure(f, ERR_FORMAT, OCI_CAUSE_LAYOUT, rows[i].says);
		assert_int_equal(resolve(f, "1").failed, -1);
	}
}

static void bounds_the_documents(void **state)
{
	struct fixture *f = *state;
	char *large = calloc(1, LIMIT_MANIFEST_BYTES + 1);

	assert_non_null(large);
	make_folders(f->dir);
	put(f->dir, "oci-layout", large, LIMIT_LAYOUT_BYTES + 1);
	expect_failure(f, ERR_LIMIT, OCI_CAUSE_NONE, "oci-layout has");
	put(f->dir, "oci-layout", GOOD, sizeof(GOOD) - 1);
	put(f->dir, "index.json", large, LIMIT_MANIFEST_BYTES + 1);
	expect_failure(f, ERR_LIMIT, OCI_CAUSE_NONE, "index.json has");
	free(large);
}

static void refuses_bad_descriptors_by_tag(void **state)
{
	static const char index[] =
		"{\"schemaVersion\":2,\"manifests\":["
		"{\"annotations\":{\"org.opencontainers.image.ref.name\":\"1\"}},"
		"{\"digest\":\"sha256:../../etc/passwd\",\"size\":1,"
		"\"annotations\":{\"org.opencontainers.image.ref.name\":\"2\"}},"
		"{\"digest\":\"md5:00\",\"size\":1,"
		"\"annotations\":{\"org.opencontainers.image.ref.name\":\"3\"}}]}";
	static const char *const tags[] = { "1", "2", "3" };
	struct fixture *f = *state;

	make_folders(f->dir);
	put(f->dir, "oci-layout", GOOD, sizeof(GOOD) - 1);
	put(f->dir, "index.json", index, sizeof(index) - 1);
	expect_tags(f, tags, LEN(tags));
	for (size_t i = 0; i < LEN(tags); i++)
		assert_int_equal(resolve(f, tags[i]).err.kind, ERR_FORMAT);
}

static void reads_an_index_and_what_it_leads_to(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf body = BUF_INIT(LIMIT_MANIFEST_BYTES);
	char *type = NULL;
	struct digest index, inner;
	struct err err;

	make_folders(f->dir);
	inner = put_blob(f->dir, DIGEST_SHA256, A, sizeof(A) - 1);
	index = put_blob(f->dir, DIGEST_SHA256, B, sizeof(B) - 1);
	add_entry(f, &index, sizeof(B) - 1,
	          "\"mediaType\":\"" INDEX_TYPE "\",\"annotations\":"
	          "{\"org.opencontainers.image.ref.name\":\"1\"}");
	put_index(f);
	expect_resolved(f, "1", &index);
	assert_int_equal(f->source.ops->manifest(f->source.self, &index, &body, &type, &err), 0);
	assert_string_equal(type, INDEX_TYPE);
	free(type);
	buf_clear(&body);
	type = "unset";
	assert_int_equal(f->source.ops->manifest(f->source.self, &inner, &body, &type, &err), 0);
	assert_string_equal(body.data, A);
	assert_null(type);
}

static void refuses_manifests(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf body = BUF_INIT(LIMIT_MANIFEST_BYTES);
	char *large = calloc(1, LIMIT_MANIFEST_BYTES + 1);
	struct digest missing, big, other;
	char *type = NULL;
	struct err err;

	make_folders(f->dir);
	assert_non_null(large);
	big = put_blob(f->dir, DIGEST_SHA256, large, LIMIT_MANIFEST_BYTES + 1);
	other = put_blob(f->dir, DIGEST_SHA256, A, sizeof(A) - 1);
	add_named(f, &other, sizeof(A), "1");
	put_index(f);
	expect_resolved(f, "1", &other);
	assert_int_equal(digest_of(DIGEST_SHA256, "x", 1, &missing, &err), 0);

	assert_int_equal(f->source.ops->manifest(f->source.self, &big, &body, &type, &err), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_int_equal(f->source.ops->manifest(f->source.self, &other, &body, &type, &err), -1);
	assert_int_equal(err.kind, ERR_DIGEST);
	assert_int_equal(f->source.ops->manifest(f->source.self, &missing, &body, &type, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_int_equal(err.cause, OCI_CAUSE_CONTENT_GONE);
	assert_null(type);
	free(large);
}

static void feeds_blobs(void **state)
{
	static char bytes[200000];
	struct fixture *f = *state;
	struct memory memory = { .bytes = BUF_INIT(1 << 20) };
	struct oci_descriptor blob = { .size = sizeof(bytes) };
	char from[512], to[512], path[160];
	struct err err;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	make_folders(f->dir);
	blob.digest = put_blob(f->dir, DIGEST_SHA256, bytes, sizeof(bytes));
	assert_int_equal(ask_blob(f, &blob, &memory, 0, &err), 0);
	assert_int_equal(memory.bytes.size, sizeof(bytes));
	assert_memory_equal(memory.bytes.data, bytes, sizeof(bytes));

	/* Behind what is there already, and a link on the way. */
	(void)snprintf(from, sizeof(from), "%s/%s", f->dir, path_of(&blob.digest, path));
	(void)snprintf(to, sizeof(to), "%s/elsewhere", f->root);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(symlink("../../../elsewhere", from), 0);
	buf_clear(&memory.bytes);
	assert_int_equal(ask_blob(f, &blob, &memory, 123456, &err), 0);
	assert_int_equal(memory.bytes.size, sizeof(bytes) - 123456);
	assert_memory_equal(memory.bytes.data, bytes + 123456, sizeof(bytes) - 123456);
	buf_clear(&memory.bytes);
	assert_int_equal(ask_blob(f, &blob, &memory, sizeof(bytes), &err), 0);
	assert_int_equal(memory.bytes.size, 0);

	/* A stop ends it between two chunks. */
	memory.stop = f->cancel;
	assert_int_equal(ask_blob(f, &blob, &memory, 0, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
	assert_in_range(memory.bytes.size, 1, sizeof(bytes) - 1);
	assert_int_equal(resolve(f, "1").err.kind, ERR_CANCELLED);
	buf_release(&memory.bytes);
}

static void refuses_blobs(void **state)
{
	enum { MISSING, FIFO, FOLDER, DEVICE, LARGER, SMALLER };
	static const struct {
		enum err_kind kind;
		int cause;
		const char *says;
	} rows[] = {
		[MISSING] = { ERR_NOT_FOUND, OCI_CAUSE_CONTENT_GONE, "is not there" },
		[FIFO] = { ERR_FORMAT, OCI_CAUSE_LAYOUT, "no regular file" },
		[FOLDER] = { ERR_FORMAT, OCI_CAUSE_LAYOUT, "no regular file" },
		[DEVICE] = { ERR_FORMAT, OCI_CAUSE_LAYOUT, "no regular file" },
		[LARGER] = { ERR_DIGEST, OCI_CAUSE_NONE, "5 bytes instead of the 4" },
		[SMALLER] = { ERR_DIGEST, OCI_CAUSE_NONE, "3 bytes instead of the 4" },
	};
	struct fixture *f = *state;
	struct oci_descriptor blob = { .size = 4 };
	char full[512], path[160];

	make_folders(f->dir);
	for (size_t i = 0; i < LEN(rows); i++) {
		struct memory memory = { .bytes = BUF_INIT(64) };
		struct err err;

		assert_int_equal(digest_of(DIGEST_SHA256, &i, sizeof(i), &blob.digest, &err), 0);
		(void)snprintf(full, sizeof(full), "%s/%s", f->dir, path_of(&blob.digest, path));
		if (i == FIFO)
			assert_int_equal(mkfifo(full, 0600), 0);
		else if (i == FOLDER)
			assert_int_equal(mkdir(full, 0700), 0);
		else if (i == DEVICE)
			assert_int_equal(symlink("/dev/zero", full), 0);
		else if (i != MISSING)
			put(f->dir, path, "12345", i == LARGER ? 5 : 3);
		assert_int_equal(ask_blob(f, &blob, &memory, 0, &err), -1);
		if (err.kind != rows[i].kind || err.cause != rows[i].cause ||
		    !strstr(err.msg, rows[i].says))
			fail_msg("%zu: %s", i, err.msg);
		assert_int_equal(memory.bytes.size, 0);
	}
}

/* One round sees the folder that it began with; the next one sees the new one. */
static void follows_an_exchanged_folder(void **state)
{
	static const char *const old_tags[] = { "1" }, *const new_tags[] = { "1", "2" };
	struct fixture *f = *state;
	struct memory memory = { .bytes = BUF_INIT(64) };
	struct oci_descriptor blob = { .size = 4 };
	char aside[80];
	struct digest a, b;
	struct err err;

	make_folders(f->dir);
	a = put_blob(f->dir, DIGEST_SHA256, A, sizeof(A) - 1);
	add_named(f, &a, sizeof(A) - 1, "1");
	put_index(f);
	expect_tags(f, old_tags, LEN(old_tags));

	(void)snprintf(aside, sizeof(aside), "%s/aside", f->root);
	assert_int_equal(rename(f->dir, aside), 0);
	make_folders(f->dir);
	b = put_blob(f->dir, DIGEST_SHA256, B, sizeof(B) - 1);
	add_named(f, &b, sizeof(B) - 1, "1");
	add_named(f, &b, sizeof(B) - 1, "2");
	put_index(f);
	blob.digest = put_blob(f->dir, DIGEST_SHA256, "new", 4);
	expect_resolved(f, "1", &a);
	/* Content is right wherever it is. */
	assert_int_equal(ask_blob(f, &blob, &memory, 0, &err), 0);
	assert_memory_equal(memory.bytes.data, "new", 4);
	buf_release(&memory.bytes);

	expect_tags(f, new_tags, LEN(new_tags));
	expect_resolved(f, "1", &b);
	/* Asked again without a list, as of a mirror, it looks anew. */
	add_named(f, &a, sizeof(A) - 1, "2");
	put_index(f);
	expect_resolved(f, "2", &a);

	assert_int_equal(nftw(f->dir, erase, 8, FTW_DEPTH | FTW_PHYS), 0);
	expect_failure(f, ERR_IO, OCI_CAUSE_LAYOUT, "no such folder");
	assert_int_equal(resolve(f, "1").err.kind, ERR_IO);
	assert_int_equal(rename(aside, f->dir), 0);
	expect_tags(f, old_tags, LEN(old_tags));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lists_and_resolves),
		TEST(finds_tags_in_names),
		TEST(knows_containerds_names),
		TEST(leaves_attachments_out),
		TEST(refuses_a_name_for_two),
		TEST(refuses_what_is_no_layout),
		TEST(bounds_the_documents),
		TEST(refuses_bad_descriptors_by_tag),
		TEST(reads_an_index_and_what_it_leads_to),
		TEST(refuses_manifests),
		TEST(feeds_blobs),
		TEST(refuses_blobs),
		TEST(follows_an_exchanged_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
