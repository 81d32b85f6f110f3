/*
 * The store: one writer, many readers of its current view. What it keeps true:
 * objects are durable before a release's file names them, a release's file is
 * renamed into place as the last step, and the view is built from committed
 * files alone, so what is served is what a restart would serve.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "digest_set.h"
#include "gc.h"
#include "layout.h"
#include "object.h"
#include "release.h"
#include "storage.h"
#include "tree.h"
#include "unpack.h"
#include "view.h"

const struct store_limits store_default_limits = {
	.entries = 1000000,
	.file_bytes = (uint64_t)4 << 30,
	.total_bytes = (uint64_t)8 << 30,
	.ratio = 200,
	.ratio_from = (uint64_t)100 << 20,
	.path_bytes = 4096,
	.depth = 64,
};

struct store {
	struct layout layout;
	struct store_limits limits;
	uint64_t reserve_bytes;
	store_observer *observer;
	void *observer_ctx;
	/* The writer's own: */
	bool has_broken_release;
	bool is_stale; /* a release was committed that the view does not show yet */

	pthread_mutex_t mutex; /* guards all below */
	struct store_view *current;
	struct store_view *views;   /* every view that somebody holds */
	struct digest_set damaged;  /* objects found missing or wrong */
	struct digest_set verified; /* large objects hashed by this process */
};

struct store_download {
	struct store *store;
	int fd;
	char name[LAYOUT_TMP_SIZE];
};

DEFINE_CLEANUP(cleanup_tree, struct tree, tree_free);

static void tell(struct store *store, enum store_event_kind kind, const char *subject,
                 const char *detail)
{
	if (store->observer)
		store->observer(store->observer_ctx, kind, subject, detail);
}

static void forget_view(void *ctx, struct store_view *view)
{
	struct store *store = ctx;
	struct store_view **at = &store->views;

	(void)pthread_mutex_lock(&store->mutex);
	while (*at != view)
		at = view_next(*at);
	*at = *view_next(view);
	(void)pthread_mutex_unlock(&store->mutex);
}

/* ---- building the view ---- */

struct overlay {
	struct store *store;
	struct tree *tree;
	uint32_t release;
	const char *tag;
	bool has_reserved;
};

static void note_damage(struct store *store, const struct digest *digest, const char *path,
                        const char *why)
{
	struct err ignored;

	(void)pthread_mutex_lock(&store->mutex);
	/* Without memory the object is found out again at the next request. */
	if (digest_set_add(&store->damaged, digest, &ignored))
		why = "it is damaged, and there is no memory to note that";
	digest_set_remove(&store->verified, digest);
	(void)pthread_mutex_unlock(&store->mutex);
	tell(store, STORE_OBJECT_DAMAGED, path, why);
}

static bool is_damaged(struct store *store, const struct digest *digest)
{
	bool damaged;

	(void)pthread_mutex_lock(&store->mutex);
	damaged = digest_set_has(&store->damaged, digest);
	(void)pthread_mutex_unlock(&store->mutex);
	return damaged;
}

static int lay_over(void *ctx, const char *path, const struct tree_item *item, struct err *err)
{
	struct overlay *overlay = ctx;
	struct tree_item placed = *item;
	bool conflict = false;

	/* `.specman` is the server's own name space. */
	if (!strncmp(path, ".specman", 8) && (path[8] == '/' || !path[8])) {
		overlay->has_reserved = true;
		return 0;
	}
	placed.release = overlay->release;
	if (item->kind == TREE_FILE && !is_damaged(overlay->store, &item->content) &&
	    !object_is_there(&overlay->store->layout, &item->content, item->size))
		note_damage(overlay->store, &item->content, path,
		            "its object is missing or cut off");
	if (tree_put(overlay->tree, path, &placed, TREE_REPLACE, &conflict, err))
		return -1;
	if (conflict)
		tell(overlay->store, STORE_OVERLAY_CONFLICT, path, overlay->tag);
	return 0;
}

/*
 * Lay one release over the tree. A damaged one is left out: its file is read
 * in whole before its first entry is visited.
 */
static int add_release(struct overlay *overlay, struct store_release *out_info, bool *out_added,
                       struct err *err)
{
	struct store *store = overlay->store;

	*out_added = false;
	if (release_read(&store->layout, overlay->tag, out_info, NULL, NULL, err)) {
		if (err->kind != ERR_FORMAT)
			return -1;
		store->has_broken_release = true;
		tell(store, STORE_RELEASE_BROKEN, overlay->tag, err->msg);
		return 0;
	}
	overlay->has_reserved = false;
	if (release_read(&store->layout, overlay->tag, out_info, lay_over, overlay, err))
		return -1;
	if (overlay->has_reserved)
		tell(store, STORE_RESERVED_NAME, overlay->tag, "");
	*out_added = true;
	return 0;
}

static struct store_view *build_view(struct store *store, char **tags, size_t count,
                                     struct err *err)
{
	CLEANUP(cleanup_tree) struct tree *tree = tree_new(UINT32_MAX, err);
	CLEANUP(cleanup_free) struct store_release *releases = calloc(count + 1, sizeof(*releases));
	struct overlay overlay = { .store = store, .tree = tree };
	struct store_view *view;

	if (!tree)
		return NULL;
	if (!releases) {
		(void)err_set_sys(err, ENOMEM, "list of releases");
		return NULL;
	}
	store->has_broken_release = false;
	for (size_t i = 0; i < count; i++) {
		bool added;

		overlay.tag = tags[i];
		if (add_release(&overlay, &releases[overlay.release], &added, err)) {
			(void)err_context(err, "load release %s", tags[i]);
			return NULL;
		}
		overlay.release += added;
	}
	view = view_new_take(tree, releases, overlay.release, forget_view, store, err);
	if (view)
		releases = NULL;
	return view;
}

/* Build a view of what is committed and swap it in. */
static int publish_view(struct store *store, struct err *err)
{
	struct store_view *view, *old;
	char **tags;
	size_t count;

	if (release_tags(&store->layout, &tags, &count, err))
		return -1;
	view = build_view(store, tags, count, err);
	release_tags_free(tags, count);
	if (!view)
		return -1;
	(void)pthread_mutex_lock(&store->mutex);
	old = store->current;
	store->current = view;
	*view_next(view) = store->views;
	store->views = view;
	(void)pthread_mutex_unlock(&store->mutex);
	store_view_put(old);
	store->is_stale = false;
	return 0;
}

struct store_view *store_view_get(struct store *store)
{
	struct store_view *view;

	(void)pthread_mutex_lock(&store->mutex);
	view = store->current;
	view_ref(view);
	(void)pthread_mutex_unlock(&store->mutex);
	return view;
}

/* ---- open and close ---- */

struct store *store_open(const struct store_settings *settings, struct err *err)
{
	struct store *store = calloc(1, sizeof(*store));
	uint64_t swept;

	if (!store) {
		(void)err_set_sys(err, ENOMEM, "store");
		return NULL;
	}
	store->limits = settings->limits;
	store->reserve_bytes = settings->reserve_bytes;
	store->observer = settings->observer;
	store->observer_ctx = settings->observer_ctx;
	if (layout_open(settings->dir, &store->layout, err)) {
		free(store);
		return NULL;
	}
	(void)pthread_mutex_init(&store->mutex, NULL);
	if (publish_view(store, err) || store_collect(store, &swept, err)) {
		store_close(store);
		return NULL;
	}
	return store;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	store_view_put(store->current);
	digest_set_release(&store->damaged);
	digest_set_release(&store->verified);
	(void)pthread_mutex_destroy(&store->mutex);
	layout_close(&store->layout);
	free(store);
}

/* ---- looking up releases ---- */

static int refuse_damaged(void *ctx, const char *path, const struct tree_item *item,
                          struct err *err)
{
	struct store *store = ctx;

	if (item->kind == TREE_FILE && is_damaged(store, &item->content))
		return err_set(err, ERR_NOT_FOUND, "the object of %.200s is damaged", path);
	return 0;
}

int store_release_find(struct store *store, const char *tag, struct store_release *out_release,
                       struct err *err)
{
	bool look;

	/* What is committed is unchanged for sync: a view that could not be built is owed still. */
	if (store->is_stale && publish_view(store, err))
		return -1;
	(void)pthread_mutex_lock(&store->mutex);
	look = store->damaged.count > 0;
	(void)pthread_mutex_unlock(&store->mutex);
	if (!release_read(&store->layout, tag, out_release, look ? refuse_damaged : NULL, store,
	                  err))
		return 0;
	if (err->kind == ERR_FORMAT)
		err->kind = ERR_NOT_FOUND;
	return -1;
}

/* ---- downloads ---- */

struct store_download *store_download_new(struct store *store, uint64_t size, struct err *err)
{
	struct store_download *download;
	uint64_t room;

	if (layout_free_bytes(&store->layout, &room, err))
		return NULL;
	if (room < store->reserve_bytes || room - store->reserve_bytes < size) {
		(void)err_set(err, ERR_NO_SPACE,
		              "no room: %" PRIu64 " bytes needed, %" PRIu64 " free, %" PRIu64
		              " of them kept in reserve",
		              size, room, store->reserve_bytes);
		return NULL;
	}
	download = malloc(sizeof(*download));
	if (!download) {
		(void)err_set_sys(err, ENOMEM, "download");
		return NULL;
	}
	download->store = store;
	download->fd = layout_tmp_create(&store->layout, download->name, err);
	if (download->fd < 0) {
		free(download);
		return NULL;
	}
	return download;
}

int store_download_write(struct store_download *download, const void *bytes, size_t size,
                         struct err *err)
{
	return io_write_all(download->fd, bytes, size, "the download", err);
}

void store_download_free(struct store_download *download)
{
	if (!download)
		return;
	(void)close(download->fd);
	(void)unlinkat(download->store->layout.tmp, download->name, 0);
	free(download);
}

/* ---- publishing ---- */

static bool tag_is_a_name(const char *tag)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-";
	size_t length = strlen(tag);

	return length && length < STORE_TAG_SIZE && tag[0] != '.' && tag[0] != '-' &&
	       strspn(tag, allowed) == length;
}

/* Objects that were written anew are whole again. */
static void forget_damage(struct store *store, const struct tree *tree)
{
	(void)pthread_mutex_lock(&store->mutex);
	for (uint32_t i = 0; store->damaged.count && i < tree_count(tree); i++)
		digest_set_remove(&store->damaged, &tree_item(tree, i)->content);
	(void)pthread_mutex_unlock(&store->mutex);
}

static int commit(struct store *store, const struct store_source *source, const struct tree *tree,
                  struct store_release *out_release, struct err *err)
{
	struct store_release info = { .manifest = *source->manifest, .layer = *source->layer };

	(void)strncpy(info.tag, source->tag, sizeof(info.tag) - 1);
	/* It stands in a line of its own in the release's file. */
	if (strlen(source->created) < sizeof(info.created) && !strpbrk(source->created, "\r\n"))
		(void)strcpy(info.created, source->created);
	if (syncfs(store->layout.root))
		return err_set_sys(err, errno, "make the objects durable");
	if (release_write(&store->layout, tree, &info, err))
		return -1;
	store->is_stale = true;
	if (publish_view(store, err))
		return -1;
	*out_release = info;
	return 0;
}

int store_publish(struct store *store, const struct store_source *source,
                  struct store_download *download, const struct cancel *cancel,
                  struct store_release *out_release, struct err *err)
{
	CLEANUP(cleanup_tree) struct tree *tree = NULL;

	if (!tag_is_a_name(source->tag))
		return err_set(err, ERR_FORMAT, "tag \"%.128s\" is no name for a release",
		               source->tag);
	tree = unpack(download->fd, &store->layout, &store->limits, cancel, err);
	if (!tree)
		return -1;
	forget_damage(store, tree);
	return commit(store, source, tree, out_release, err);
}

static int copy_entry(void *ctx, const char *path, const struct tree_item *item, struct err *err)
{
	bool replaced;

	return tree_put(ctx, path, item, TREE_STRICT, &replaced, err);
}

/* The tag of an intact release that was made from this layer, or ERR_NOT_FOUND. */
static int find_layer(struct store *store, const struct digest *layer,
                      char out_tag[static STORE_TAG_SIZE], struct err *err)
{
	struct store_release found;
	char **tags;
	size_t count;
	int result = err_set(err, ERR_NOT_FOUND, "no release was made from this layer");

	if (release_tags(&store->layout, &tags, &count, err))
		return -1;
	for (size_t i = 0; result && i < count; i++) {
		struct err reason;

		if (!store_release_find(store, tags[i], &found, &reason) &&
		    digest_equal(&found.layer, layer)) {
			(void)strcpy(out_tag, found.tag);
			result = 0;
		}
	}
	release_tags_free(tags, count);
	return result;
}

int store_republish(struct store *store, const struct store_source *source,
                    struct store_release *out_release, struct err *err)
{
	CLEANUP(cleanup_tree) struct tree *tree = NULL;
	struct store_release found;
	char tag[STORE_TAG_SIZE];

	if (!tag_is_a_name(source->tag))
		return err_set(err, ERR_FORMAT, "tag \"%.128s\" is no name for a release",
		               source->tag);
	if (find_layer(store, source->layer, tag, err))
		return -1;
	tree = tree_new(UINT32_MAX, err);
	if (!tree || release_read(&store->layout, tag, &found, copy_entry, tree, err))
		return -1;
	return commit(store, source, tree, out_release, err);
}

/* ---- removing ---- */

int store_tags(struct store *store, char ***out_tags, size_t *out_count, struct err *err)
{
	return release_tags(&store->layout, out_tags, out_count, err);
}

void store_tags_free(char **tags, size_t count)
{
	release_tags_free(tags, count);
}

int store_remove(struct store *store, const char *const *tags, size_t count, struct err *err)
{
	size_t removed;
	int failed;

	for (size_t i = 0; i < count; i++)
		if (!tag_is_a_name(tags[i]))
			return err_set(err, ERR_FORMAT, "tag \"%.128s\" is no name for a release",
			               tags[i]);
	failed = release_remove(&store->layout, tags, count, &removed, err);
	if (removed)
		store->is_stale = true;
	return failed || !removed ? failed : publish_view(store, err);
}

/* ---- sweeping ---- */

static int mark_item(void *ctx, const char *path, const struct tree_item *item, struct err *err)
{
	(void)path;
	return item->kind == TREE_FILE ? digest_set_add(ctx, &item->content, err) : 0;
}

static int mark_views(struct store *store, struct digest_set *marked, struct err *err)
{
	int failed = 0;

	(void)pthread_mutex_lock(&store->mutex);
	for (struct store_view *view = store->views; view; view = *view_next(view)) {
		size_t count;
		const struct store_entry *entries = view_entries(view, &count);

		for (size_t i = 0; !failed && i < count; i++)
			if (!entries[i].is_folder)
				failed = digest_set_add(marked, &entries[i].content, err);
	}
	(void)pthread_mutex_unlock(&store->mutex);
	return failed;
}

int store_collect(struct store *store, uint64_t *out_swept, struct err *err)
{
	CLEANUP(digest_set_release) struct digest_set marked = { .keys = NULL };
	char **tags;
	size_t count;
	int failed;

	*out_swept = 0;
	if (store->has_broken_release)
		return 0;
	if (release_tags(&store->layout, &tags, &count, err))
		return -1;
	failed = mark_views(store, &marked, err);
	for (size_t i = 0; !failed && i < count; i++) {
		struct store_release info;

		failed = release_read(&store->layout, tags[i], &info, mark_item, &marked, err);
	}
	release_tags_free(tags, count);
	return failed ? -1 : gc_sweep(&store->layout, &marked, out_swept, err);
}

/* ---- contents ---- */

static int verify(struct store *store, const struct store_entry *file, int fd, void *bytes,
                  struct err *err)
{
	if (!object_verify(fd, &file->content, file->size, bytes, err))
		return 0;
	if (err->kind == ERR_DIGEST || err->sys == EIO) {
		object_put_aside(&store->layout, &file->content);
		note_damage(store, &file->content, file->name, err->msg);
		err->kind = ERR_DIGEST;
	}
	return -1;
}

static int open_large(struct store *store, const struct store_entry *file, int fd, struct err *err)
{
	struct err unneeded;
	bool known;

	(void)pthread_mutex_lock(&store->mutex);
	known = digest_set_has(&store->verified, &file->content);
	(void)pthread_mutex_unlock(&store->mutex);
	if (known)
		return 0;
	if (verify(store, file, fd, NULL, err))
		return -1;
	(void)pthread_mutex_lock(&store->mutex);
	if (digest_set_add(&store->verified, &file->content, &unneeded)) {
		/* Without memory it is hashed once more by the next request. */
	}
	(void)pthread_mutex_unlock(&store->mutex);
	return 0;
}

int store_content_open(struct store *store, const struct store_entry *file,
                       struct store_content *out_content, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = object_open(&store->layout, &file->content, err);
	CLEANUP(cleanup_free) void *bytes = NULL;

	if (fd < 0 && err->kind == ERR_NOT_FOUND && !is_damaged(store, &file->content))
		note_damage(store, &file->content, file->name, err->msg);
	if (fd < 0)
		return -1;
	if (file->size > STORE_IN_MEMORY_BYTES) {
		if (open_large(store, file, fd, err))
			return -1;
		*out_content = (struct store_content){ .bytes = NULL, .fd = steal_fd(&fd) };
		return 0;
	}
	if (file->size) {
		bytes = malloc(file->size);
		if (!bytes)
			return err_set_sys(err, ENOMEM, "read %s", file->name);
		if (verify(store, file, fd, bytes, err))
			return -1;
	}
	*out_content = (struct store_content){ .bytes = STEAL(bytes), .fd = -1 };
	return 0;
}

void store_content_release(struct store_content *content)
{
	free(content->bytes);
	cleanup_fd(&content->fd);
	*content = (struct store_content){ .bytes = NULL, .fd = -1 };
}
