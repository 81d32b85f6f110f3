/* What is kept for a manifest, and what may not be served without it. */
#include "harness.h"

static const char good[] = "a good proof";

/* What the store is to take now. */
struct guard {
	struct fixture *f;
	const char *takes; /* NULL: nothing */
	unsigned asked;
};

static bool guards(void *ctx, const struct store_release *release, const char *proof, size_t size)
{
	struct guard *guard = ctx;

	guard->asked++;
	assert_true(strlen(release->tag) > 0);
	assert_int_equal(strlen(proof), size);
	return guard->takes && !strcmp(proof, guard->takes);
}

static void open_guarded(struct guard *guard)
{
	struct fixture *f = guard->f;
	struct store_settings settings = { .dir = f->dir,
		                           .limits = store_default_limits,
		                           .observer = count_event,
		                           .observer_ctx = f,
		                           .admits = guards,
		                           .admits_ctx = guard };
	struct err err = { .msg = "" };

	store_close(f->store);
	f->store = store_open(&settings, &err);
	assert_non_null(f->store);
}

static void put(struct fixture *f, const char *tag, const char *text, const char *proof)
{
	CLEANUP(buf_release) struct buf bytes = BUF_INIT(1 << 20);
	const struct item items[] = { { "a", AE_IFREG, text, false }, { NULL, 0, NULL, false } };
	struct store_release release;
	struct digest manifest, layer;
	struct store_source source = {
		tag, "", &manifest, &layer, proof, proof ? strlen(proof) : 0, NULL,
	};
	struct store_download *download;
	struct err err = { .msg = "" };
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/archive", f->dir);
	build(path, items);
	assert_int_equal(io_read_file(AT_FDCWD, path, &bytes, &err), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(digest_of(DIGEST_SHA256, text, strlen(text), &manifest, &err), 0);
	assert_int_equal(digest_of(DIGEST_SHA256, bytes.data, bytes.size, &layer, &err), 0);
	download = store_download_open(f->store, &layer, bytes.size, &err);
	assert_non_null(download);
	assert_int_equal(store_download_write(download, bytes.data, bytes.size, &err), 0);
	assert_int_equal(store_publish(f->store, &source, download, f->cancel, &release, &err), 0);
	store_download_free(download);
}

/* The release that a path is served from, or "". */
static const char *served(struct fixture *f, char tag[static STORE_TAG_SIZE])
{
	struct store_view *view = store_view_get(f->store);
	const struct store_entry *entry = store_view_find(view, "a", 1);

	(void)snprintf(tag, STORE_TAG_SIZE, "%s",
	               entry ? store_view_release(view, entry->release)->tag : "");
	store_view_put(view);
	return tag;
}

static unsigned count_proofs(const struct fixture *f)
{
	char path[96];
	CLEANUP(cleanup_free) struct dirent **names = NULL;
	unsigned count = 0;
	int all;

	(void)snprintf(path, sizeof(path), "%s/releases", f->dir);
	all = scandir(path, &names, NULL, NULL);
	for (int i = 0; i < all; i++) {
		count += strstr(names[i]->d_name, ".proof") != NULL;
		free(names[i]);
	}
	return count;
}

static void serves_what_is_proven(void **state)
{
	struct guard guard = { .f = *state, .takes = good };
	struct fixture *f = *state;
	struct store_release release;
	char tag[STORE_TAG_SIZE];
	struct err err = { .msg = "" };

	open_guarded(&guard);
	put(f, "1.0.0", "one", good);
	put(f, "1.0.1", "two", "another proof");
	put(f, "1.0.2", "three", NULL);
	assert_string_equal(served(f, tag), "1.0.0");
	/* What is withheld is to be fetched again, and is there all the same. */
	assert_int_equal(store_release_find(f->store, "1.0.0", &release, &err), 0);
	assert_int_equal(store_release_find(f->store, "1.0.1", &release, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_false(store_release_is_whole(f->store, "1.0.2"));
	assert_true(store_release_is_withheld(f->store, "1.0.2"));
	assert_false(store_release_is_withheld(f->store, "1.0.0"));
	assert_false(store_release_is_withheld(f->store, "9.0.0"));
	/* The same after a restart; and all of it without a guard. */
	open_guarded(&guard);
	assert_string_equal(served(f, tag), "1.0.0");
	store_close(f->store);
	open_store(f);
	assert_string_equal(served(f, tag), "1.0.2");
}

static void changes_its_mind(void **state)
{
	struct guard guard = { .f = *state, .takes = good };
	struct fixture *f = *state;
	char tag[STORE_TAG_SIZE];
	struct err err = { .msg = "" };

	open_guarded(&guard);
	put(f, "1.0.0", "one", good);
	put(f, "1.0.1", "two", "new");
	guard.takes = "new";
	assert_string_equal(served(f, tag), "1.0.0");
	assert_int_equal(store_reconsider(f->store, &err), 0);
	assert_string_equal(served(f, tag), "1.0.1");
	guard.takes = NULL;
	assert_int_equal(store_reconsider(f->store, &err), 0);
	assert_string_equal(served(f, tag), "");
}

static bool has_view(struct fixture *f, const char *id)
{
	bool is_gone = false;
	struct store_view *view = store_view_named(f->store, id, &is_gone);

	store_view_put(view);
	assert_true(view || is_gone);
	return view != NULL;
}

/* What may not be served any more can't be had by the name of an earlier view either. */
static void withdraws_earlier_views(void **state)
{
	struct guard guard = { .f = *state, .takes = good };
	char ids[2][STORE_VIEW_ID_SIZE];
	struct fixture *f = *state;
	struct err err = { .msg = "" };

	open_guarded(&guard);
	store_keep_views(f->store, 60 * 60 * 1000);
	for (size_t i = 0; i < 2; i++) {
		struct store_view *view;

		put(f, i ? "1.0.1" : "1.0.0", i ? "two" : "one", good);
		view = store_view_get(f->store);
		(void)snprintf(ids[i], sizeof(ids[i]), "%s", store_view_id(view));
		store_view_put(view);
	}
	assert_true(has_view(f, ids[0]) && has_view(f, ids[1]));
	guard.takes = NULL;
	assert_int_equal(store_reconsider(f->store, &err), 0);
	assert_false(has_view(f, ids[0]) || has_view(f, ids[1]));
	/* What is replaced from now on is kept as before. */
	guard.takes = good;
	assert_int_equal(store_reconsider(f->store, &err), 0);
	put(f, "1.0.2", "three", good);
	assert_true(has_view(f, ids[1]));
}

/* A release that has all but a proof gets it without its layer. */
static void proves_later(void **state)
{
	struct guard guard = { .f = *state, .takes = good };
	struct fixture *f = *state;
	struct store_release release;
	char tag[STORE_TAG_SIZE];
	struct store_source source = { "1.0.0", "", NULL, NULL, good, strlen(good), NULL };
	struct store_view *view;
	struct err err = { .msg = "" };

	put(f, "1.0.0", "one", NULL);
	view = store_view_get(f->store);
	release = *store_view_release(view, 0);
	store_view_put(view);
	open_guarded(&guard);
	assert_string_equal(served(f, tag), "");
	source.manifest = &release.manifest;
	source.layer = &release.layer;
	assert_int_equal(store_republish(f->store, &source, &release, &err), 0);
	assert_string_equal(served(f, tag), "1.0.0");
	assert_int_equal(count_proofs(f), 1);
}

static void sweeps_proofs_of_nobody(void **state)
{
	struct guard guard = { .f = *state, .takes = good };
	struct fixture *f = *state;
	static const char *const gone[] = { "1.0.1" };
	uint64_t swept;
	char tag[STORE_TAG_SIZE];
	struct err err = { .msg = "" };

	open_guarded(&guard);
	put(f, "1.0.0", "one", good);
	put(f, "1.0.1", "two", good);
	put(f, "1.0.2", "two", good); /* the same manifest */
	assert_int_equal(count_proofs(f), 2);
	put(f, "1.0.0", "three", good);
	assert_int_equal(count_proofs(f), 3); /* until the sweep */
	assert_int_equal(store_collect(f->store, &swept, &err), 0);
	assert_int_equal(count_proofs(f), 2);
	assert_int_equal(store_remove(f->store, gone, 1, &err), 0);
	assert_int_equal(store_collect(f->store, &swept, &err), 0);
	assert_int_equal(count_proofs(f), 2); /* another tag has it still */
	assert_string_equal(served(f, tag), "1.0.2");
}

static void never_asks_of_what_is_damaged(void **state)
{
	struct guard guard = { .f = *state, .takes = good };
	struct fixture *f = *state;
	char path[128], tag[STORE_TAG_SIZE];
	FILE *file;

	open_guarded(&guard);
	put(f, "1.0.0", "one", good);
	put(f, "1.0.1", "two", good);
	(void)snprintf(path, sizeof(path), "%s/releases/1.0.1.mtree", f->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs("#mtree\n", file);
	assert_int_equal(fclose(file), 0);
	guard.asked = 0;
	open_guarded(&guard);
	assert_string_equal(served(f, tag), "1.0.0");
	assert_int_equal(guard.asked, 1);
	assert_int_equal(f->events[STORE_RELEASE_BROKEN], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(serves_what_is_proven, setup, teardown),
		cmocka_unit_test_setup_teardown(changes_its_mind, setup, teardown),
		cmocka_unit_test_setup_teardown(withdraws_earlier_views, setup, teardown),
		cmocka_unit_test_setup_teardown(proves_later, setup, teardown),
		cmocka_unit_test_setup_teardown(sweeps_proofs_of_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(never_asks_of_what_is_damaged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
