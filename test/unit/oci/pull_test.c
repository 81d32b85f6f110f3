/* Blobs that come in parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/pull.h"

struct store {
	char bytes[64];
	size_t size;
	const char *from; /* what is read instead of bytes, or NULL */
	int restarts, reads;
	bool fails;
	struct cancel *raises; /* at a read */
};

static int store_write(void *ctx, const void *bytes, size_t size, struct err *err)
{
	struct store *store = ctx;

	if (store->fails)
		return err_set(err, ERR_NO_SPACE, "full");
	memcpy(store->bytes + store->size, bytes, size);
	store->size += size;
	return 0;
}

static int store_restart(void *ctx, struct err *err)
{
	struct store *store = ctx;

	(void)err;
	store->size = 0;
	store->restarts++;
	return 0;
}

static int store_read(void *ctx, void *bytes, size_t size, uint64_t offset, struct err *err)
{
	struct store *store = ctx;

	if (store->fails)
		return err_set(err, ERR_IO, "unreadable");
	if (store->raises)
		cancel_raise(store->raises);
	store->reads++;
	memcpy(bytes, (store->from ? store->from : store->bytes) + offset, size);
	return 0;
}

static const char text[] = "half a blob, and its other half";

struct fixture {
	struct oci_descriptor blob;
	struct store store;
	struct oci_sink sink;
	struct pull pull;
};

static void prepare(struct fixture *f)
{
	struct err err;

	*f = (struct fixture){ .blob = { .size = (int64_t)strlen(text) } };
	f->sink = (struct oci_sink){
		.write = store_write, .restart = store_restart, .read = store_read, .ctx = &f->store
	};
	assert_int_equal(digest_of(DIGEST_SHA512, text, strlen(text), &f->blob.digest, &err), 0);
}

static void begin(struct fixture *f)
{
	struct err err;

	prepare(f);
	assert_int_equal(pull_init(&f->pull, &f->blob, &f->sink, NULL, &err), 0);
}

static void hashes_parts_as_one(void **state)
{
	struct fixture f;
	struct err err;

	(void)state;
	begin(&f);
	assert_int_equal(pull_write(&f.pull, text, 10, &err), 0);
	assert_int_equal(f.pull.received, 10);
	assert_false(pull_is_full(&f.pull));
	assert_int_equal(pull_write(&f.pull, text + 10, strlen(text) - 10, &err), 0);
	assert_true(pull_is_full(&f.pull));
	assert_int_equal(pull_end(&f.pull, &err), 0);
	assert_memory_equal(f.store.bytes, text, strlen(text));
	pull_release(&f.pull);
}

static void judges_and_begins_anew(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} wrong[] = {
		{ text, 0 },
		{ text, 10 },
		{ "half a blob, and another  half.", 31 },
	};
	struct fixture f;
	struct err err;

	(void)state;
	assert_int_equal(strlen(text), 31);
	begin(&f);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(pull_write(&f.pull, wrong[i].bytes, wrong[i].size, &err), 0);
		assert_int_equal(pull_end(&f.pull, &err), -1);
		assert_int_equal(err.kind, ERR_DIGEST);
		assert_int_equal(pull_restart(&f.pull, &err), 0);
		assert_int_equal(f.store.size, 0);
	}
	assert_int_equal(f.store.restarts, 2); /* nothing was to be taken back the first time */
	assert_int_equal(pull_write(&f.pull, text, strlen(text), &err), 0);
	assert_int_equal(pull_end(&f.pull, &err), 0);
	assert_false(f.pull.sink_failed);
	pull_release(&f.pull);
}

/* The right bytes for the digest are not what was described, when the size is another. */
static void a_descriptor_that_is_too_large(void **state)
{
	struct fixture f;
	struct err err;

	(void)state;
	prepare(&f);
	f.blob.size++;
	assert_int_equal(pull_init(&f.pull, &f.blob, &f.sink, NULL, &err), 0);
	assert_int_equal(pull_write(&f.pull, text, strlen(text), &err), 0);
	assert_int_equal(pull_end(&f.pull, &err), -1);
	assert_int_equal(err.kind, ERR_DIGEST);
	pull_release(&f.pull);
}

static void takes_no_byte_too_many(void **state)
{
	struct fixture f;
	struct err err;

	(void)state;
	begin(&f);
	assert_int_equal(pull_write(&f.pull, text, sizeof(text), &err), -1);
	assert_int_equal(err.kind, ERR_DIGEST);
	assert_int_equal(f.store.size, 0);
	assert_false(f.pull.sink_failed);
	pull_release(&f.pull);
}

static void tells_the_sinks_failure_from_the_sources(void **state)
{
	struct fixture f;
	struct err err;

	(void)state;
	begin(&f);
	f.blob.size = 0;
	assert_false(pull_is_full(&f.pull));
	f.blob.size = 1;
	f.store.fails = true;
	assert_int_equal(pull_write(&f.pull, text, 1, &err), -1);
	assert_int_equal(err.kind, ERR_NO_SPACE);
	assert_true(f.pull.sink_failed);
	pull_release(&f.pull);
}

/* What an earlier transfer left counts, whatever it is, and is judged with the rest. */
static void goes_on_with_what_is_held(void **state)
{
	static const struct {
		const char *held;
		size_t size;
		bool unreadable;
		int64_t received; /* before the source is asked */
		bool is_right;    /* with the rest of the text */
	} table[] = {
		{ "", 0, false, 0, true },
		{ "half a blob", 11, false, 11, true },
		{ "half a block", 12, false, 12, false },
		{ "half a blob, and its other half", 31, false, 31, true },
		{ "half a blob, and another half!!", 31, false, 31, false },
		{ "half a blob, and its other half and more", 40, false, 0, true },
		{ "half a blob", 11, true, 0, true },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fixture f;

		prepare(&f);
		memcpy(f.store.bytes, table[i].held, table[i].size);
		f.store.size = f.sink.held = table[i].size;
		f.store.fails = table[i].unreadable;
		assert_int_equal(pull_init(&f.pull, &f.blob, &f.sink, NULL, &err), 0);
		f.store.fails = false;
		assert_int_equal(f.pull.received, table[i].received);
		assert_int_equal(f.store.size, table[i].received);
		assert_int_equal(pull_is_full(&f.pull), table[i].received == 31);
		assert_int_equal(pull_write(&f.pull, text + table[i].received,
		                            31 - (size_t)table[i].received, &err),
		                 0);
		assert_int_equal(pull_end(&f.pull, &err), table[i].is_right ? 0 : -1);
		if (table[i].is_right)
			assert_memory_equal(f.store.bytes, text, 31);
		pull_release(&f.pull);
	}
}

/* Hashing gigabytes takes its time; and what is held is worth as much at the next start. */
static void a_stop_leaves_what_is_held(void **state)
{
	static const char held[40000] = "";
	struct fixture f;
	struct err err;

	(void)state;
	prepare(&f);
	f.store.raises = cancel_new(&err);
	assert_non_null(f.store.raises);
	f.sink.held = sizeof(held);
	f.blob.size = sizeof(held);
	f.store.from = held;
	assert_int_equal(pull_init(&f.pull, &f.blob, &f.sink, f.store.raises, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
	assert_int_equal(f.store.reads, 1);
	assert_int_equal(f.store.restarts, 0);
	pull_release(&f.pull);
	cancel_free(f.store.raises);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_parts_as_one),
		cmocka_unit_test(judges_and_begins_anew),
		cmocka_unit_test(a_descriptor_that_is_too_large),
		cmocka_unit_test(takes_no_byte_too_many),
		cmocka_unit_test(goes_on_with_what_is_held),
		cmocka_unit_test(a_stop_leaves_what_is_held),
		cmocka_unit_test(tells_the_sinks_failure_from_the_sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
