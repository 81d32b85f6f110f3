/*
 * What a store would serve after a restart: opens it, as the daemon does, and
 * prints a line for each release ("release TAG"), for each file ("file PATH
 * SHA-256", hashed from the bytes that a client would get) and for what is told
 * to the observer ("event NUMBER SUBJECT"). Then it sweeps, as the daemon does
 * before it fetches anything; what keeps it from that is told ("unswept WHY").
 *
 *	served DIR
 */
#include <stdio.h>

#include "base/cleanup.h"
#include "storage/storage.h"

static void on_event(void *ctx, enum store_event_kind kind, const char *subject, const char *detail)
{
	(void)ctx;
	(void)printf("event %d %s: %s\n", (int)kind, subject, detail);
}

static int hash_content(const struct store_content *content, uint64_t size, char *text,
                        struct err *err)
{
	struct hasher *hasher = hasher_new(DIGEST_SHA256, err);
	char block[STORE_BLOCK_BYTES];
	struct digest digest;
	int failed = !hasher;
	size_t n;

	if (!failed && content->bytes)
		failed = hasher_add(hasher, content->bytes, size, err);
	else
		for (uint64_t at = 0; !failed && at < size; at += n)
			failed = store_content_read(content, at, block, sizeof(block), &n, err) ||
			         hasher_add(hasher, block, n, err);
	if (!failed && !hasher_end(hasher, &digest, err))
		(void)digest_hex(&digest, text);
	hasher_free(hasher);
	return failed;
}

static int show(struct store *store, const struct store_view *view, const struct store_entry *entry,
                const char *path)
{
	struct store_content content = { .bytes = NULL };
	char text[DIGEST_TEXT_SIZE] = "none";
	struct err err;
	int failed = 0;

	for (uint32_t i = 0; entry->is_folder && i < entry->child_count; i++) {
		const struct store_entry *child = store_view_child(view, entry, i);
		char below[4096];

		(void)snprintf(below, sizeof(below), "%s%s%s", path, *path ? "/" : "", child->name);
		failed |= show(store, view, child, below);
	}
	if (entry->is_folder)
		return failed;
	failed = store_content_open(store, entry, &content, &err) ||
	         hash_content(&content, entry->size, text, &err);
	if (failed)
		(void)printf("damaged %s %s\n", path, err.msg);
	else
		(void)printf("file %s %s\n", path, text);
	store_content_release(&content);
	return failed;
}

int main(int argc, char **argv)
{
	const struct store_settings settings = { .dir = argc == 2 ? argv[1] : "",
		                                 .limits = store_default_limits,
		                                 .observer = on_event };
	struct err err = { .msg = "" };
	struct store *store = store_open(&settings, &err);
	struct store_view *view;
	uint64_t swept;
	int failed;

	if (!store) {
		(void)fprintf(stderr, "%s\n", err.msg);
		return 2;
	}
	view = store_view_get(store);
	for (size_t i = 0; i < store_view_release_count(view); i++)
		(void)printf("release %s\n", store_view_release(view, i)->tag);
	failed = show(store, view, store_view_find(view, "", 0), "");
	store_view_put(view);
	if (store_collect(store, &swept, &err))
		(void)printf("unswept %s\n", err.msg);
	store_close(store);
	return failed ? 1 : 0;
}
