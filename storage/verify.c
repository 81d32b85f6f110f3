/*
 * A full check of a store that may be in use: what its releases name is read
 * and hashed. An object that is missing or wrong counts only if a release names
 * it still at the end, since releases are replaced, and their objects swept,
 * while this goes on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "gc.h"
#include "object.h"
#include "release.h"
#include "store.h"

struct objects {
	struct digest_set set;
	uint64_t *sizes; /* of each, by its number in the set */
	size_t room;
};

struct verifying {
	struct store *store;
	const struct store_verify_observer *observer;
	struct store_verdict verdict;
	struct objects named;
	struct objects suspect;
	const char *tag; /* whose release is being read */
};

static void objects_release(struct objects *objects)
{
	free(objects->sizes);
	digest_set_release(&objects->set);
}

static int add(struct objects *objects, const struct digest *content, uint64_t size,
               struct err *err)
{
	if (digest_set_has(&objects->set, content))
		return 0;
	if (objects->set.count == objects->room) {
		size_t room = objects->room * 2 + 64;
		uint64_t *more = realloc(objects->sizes, room * sizeof(*more));

		if (!more)
			return err_set_sys(err, ENOMEM, "list of %zu objects", room);
		objects->sizes = more;
		objects->room = room;
	}
	if (digest_set_add(&objects->set, content, err))
		return -1;
	objects->sizes[objects->set.count - 1] = size;
	return 0;
}

static int add_file(void *ctx, const char *path, const struct tree_item *item, struct err *err)
{
	struct verifying *verifying = ctx;

	(void)path;
	if (item->kind != TREE_FILE)
		return 0;
	if (item->twin_size && add(&verifying->named, &item->twin, item->twin_size, err))
		return -1;
	return add(&verifying->named, &item->content, item->size, err);
}

static void tell_flaw(struct verifying *verifying, const char *tag, const char *path,
                      const char *what)
{
	verifying->verdict.flaws++;
	verifying->observer->flaw(verifying->observer->ctx, tag, path, what);
}

static int read_releases(struct verifying *verifying, struct err *err)
{
	struct layout *layout = &verifying->store->layout;
	char **tags;
	size_t count;
	int failed = 0;

	if (release_tags(layout, &tags, &count, err))
		return -1;
	for (size_t i = 0; !failed && i < count; i++) {
		struct store_release info;

		if (!release_read(layout, tags[i], &info, add_file, verifying, err))
			verifying->verdict.releases++;
		else if (err->kind == ERR_FORMAT)
			tell_flaw(verifying, tags[i], "", err->msg);
		else if (err->kind != ERR_NOT_FOUND) /* it was removed just now */
			failed = -1;
	}
	release_tags_free(tags, count);
	return failed;
}

/* 0 when it is whole; what is wrong is in err. */
static int check(const struct store *store, const struct digest *content, uint64_t size,
                 struct err *err)
{
	CLEANUP(cleanup_fd) int fd = object_open(&store->layout, content, size, err);

	return fd < 0 || object_verify(fd, content, size, NULL, err) ? -1 : 0;
}

static int read_objects(struct verifying *verifying, struct err *err)
{
	const struct store_verify_observer *observer = verifying->observer;
	const struct objects *named = &verifying->named;
	uint64_t bytes = 0;

	for (size_t i = 0; i < named->set.count; i++)
		bytes += named->sizes[i];
	for (size_t i = 0; i < named->set.count; i++) {
		const struct digest content = digest_set_at(&named->set, i);
		struct err reason;

		observer->progress(observer->ctx, verifying->verdict.bytes, bytes);
		if (check(verifying->store, &content, named->sizes[i], &reason) &&
		    add(&verifying->suspect, &content, named->sizes[i], err))
			return -1;
		verifying->verdict.objects++;
		verifying->verdict.bytes += named->sizes[i];
	}
	observer->progress(observer->ctx, bytes, bytes);
	return 0;
}

/* An object that was found wrong is wrong still, or was healed meanwhile. */
static bool is_flawed(const struct verifying *verifying, const struct digest *content,
                      uint64_t size, struct err *reason)
{
	return digest_set_has(&verifying->suspect.set, content) &&
	       check(verifying->store, content, size, reason);
}

static int judge_file(void *ctx, const char *path, const struct tree_item *item, struct err *err)
{
	struct verifying *verifying = ctx;
	struct err reason;

	(void)err;
	if (item->kind != TREE_FILE)
		return 0;
	if (is_flawed(verifying, &item->content, item->size, &reason))
		tell_flaw(verifying, verifying->tag, path, reason.msg);
	if (item->twin_size && is_flawed(verifying, &item->twin, item->twin_size, &reason)) {
		(void)err_context(&reason, "its gzip form");
		tell_flaw(verifying, verifying->tag, path, reason.msg);
	}
	return 0;
}

static int judge_suspects(struct verifying *verifying, struct err *err)
{
	struct layout *layout = &verifying->store->layout;
	char **tags;
	size_t count;
	int failed = 0;

	if (!verifying->suspect.set.count)
		return 0;
	if (release_tags(layout, &tags, &count, err))
		return -1;
	for (size_t i = 0; !failed && i < count; i++) {
		struct store_release info;

		verifying->tag = tags[i];
		/* Damaged ones were told of when they were read first, and what they say of an
		 * object is no word against it. */
		if ((release_read(layout, tags[i], &info, NULL, NULL, err) ||
		     release_read(layout, tags[i], &info, judge_file, verifying, err)) &&
		    err->kind != ERR_NOT_FOUND && err->kind != ERR_FORMAT)
			failed = -1;
	}
	release_tags_free(tags, count);
	return failed;
}

static int go(struct verifying *verifying, struct err *err)
{
	if (read_releases(verifying, err) || read_objects(verifying, err) ||
	    judge_suspects(verifying, err))
		return -1;
	return gc_count(verifying->store->layout.objects, &verifying->named.set,
	                &verifying->verdict.orphans, err);
}

int store_verify(struct store *store, const struct store_verify_observer *observer,
                 struct store_verdict *out_verdict, struct err *err)
{
	struct verifying verifying = { .store = store, .observer = observer };
	int failed = go(&verifying, err);

	if (!failed)
		*out_verdict = verifying.verdict;
	objects_release(&verifying.named);
	objects_release(&verifying.suspect);
	return failed;
}
