/*
 * Scrubbing; see storage.h. A pass looks at each release's file and whether the
 * objects are there that it names, then reads objects/ folder by folder, and
 * last quarantine/. What sweeping removes meanwhile is no damage: a missing
 * object counts as such only while a release names it, which is looked at with
 * sweeping held off.
 *
 * The pages of an object are dropped before it is read, so that it is the disk
 * which is read and not memory, and again behind, so that a pass leaves the
 * page cache to the others.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "blocks.h"
#include "object.h"
#include "release.h"
#include "store.h"

enum {
	READ_BYTES = 1024 * 1024,
	FOLDERS = 256,
	PARTS = FOLDERS + 1, /* of a pass: the folders and quarantine/ */
	SAVE_MS = 10 * 1000,
	MILLION = 1000000,
};

struct item {
	struct digest digest;
	uint64_t size;
};

/* An object that is being read. */
struct check {
	int fd; /* -1: none */
	struct item item;
	uint64_t at;
	struct hasher *hasher;
	struct buf hashes;
	bool makes_list;
	bool is_aside; /* it lies in quarantine/ */
};

struct store_scrub {
	struct store *store;
	unsigned char *block; /* READ_BYTES */
	char **tags;          /* still to be looked at, from tag_at on */
	size_t tag_count, tag_at;
	bool has_tags;   /* of this pass */
	unsigned folder; /* or FOLDERS: quarantine/ */
	struct item *items;
	size_t item_count, item_at;
	bool is_listed; /* items are those of the folder */
	uint64_t folder_bytes, done_bytes;
	struct check check;
	struct check urgent;
	int64_t saved_ms;
};

/* ---- where it got to ---- */

static const char position_file[] = "scrub";

static void load_position(struct store_scrub *scrub)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(256);
	struct err none;
	unsigned folder;
	int64_t passed;

	/* Without one, or with one that is damaged, it begins from the start. */
	if (io_read_file(scrub->store->layout.root, position_file, &text, &none) ||
	    sscanf(buf_text(&text), "folder %u passed %" SCNd64, &folder, &passed) != 2 ||
	    folder >= PARTS)
		return;
	scrub->folder = folder;
	(void)pthread_mutex_lock(&scrub->store->mutex);
	scrub->store->scrub_passed_at = passed;
	(void)pthread_mutex_unlock(&scrub->store->mutex);
}

static int save_position(struct store_scrub *scrub, struct err *err)
{
	struct store_counters counters;
	char text[80];

	store_count(scrub->store, &counters);
	(void)snprintf(text, sizeof(text), "folder %u passed %" PRId64 "\n", scrub->folder,
	               counters.scrub_passed_at);
	scrub->saved_ms = clock_now_ms();
	return io_replace_file(scrub->store->layout.root, position_file, text, strlen(text), 0640,
	                       err);
}

/* ---- life ---- */

struct store_scrub *store_scrub_new(struct store *store, struct err *err)
{
	struct store_scrub *scrub = calloc(1, sizeof(*scrub));

	if (scrub)
		scrub->block = malloc(READ_BYTES);
	if (!scrub || !scrub->block) {
		free(scrub);
		(void)err_set_sys(err, ENOMEM, "scrub");
		return NULL;
	}
	scrub->store = store;
	scrub->check.fd = -1;
	scrub->urgent.fd = -1;
	scrub->saved_ms = clock_now_ms();
	load_position(scrub);
	return scrub;
}

static void end_check(struct check *check)
{
	if (check->fd >= 0)
		(void)posix_fadvise(check->fd, 0, 0, POSIX_FADV_DONTNEED);
	cleanup_fd(&check->fd);
	hasher_free(check->hasher);
	buf_release(&check->hashes);
	*check = (struct check){ .fd = -1 };
}

static void drop_tags(struct store_scrub *scrub)
{
	release_tags_free(scrub->tags, scrub->tag_count);
	scrub->tags = NULL;
	scrub->tag_count = 0;
}

void store_scrub_free(struct store_scrub *scrub)
{
	struct err lost; /* the next pass begins some folders earlier */

	if (!scrub)
		return;
	if (save_position(scrub, &lost))
		scrub->folder = 0;
	end_check(&scrub->check);
	end_check(&scrub->urgent);
	drop_tags(scrub);
	free(scrub->items);
	free(scrub->block);
	free(scrub);
}

/* ---- one object ---- */

static bool lacks_list(const struct layout *layout, const struct item *item)
{
	unsigned char *hashes;
	struct err why;
	bool lacks;

	if (item->size <= STORE_IN_MEMORY_BYTES)
		return false;
	hashes = malloc(blocks_size(item->size));
	lacks = hashes && blocks_read(layout, &item->digest, item->size, hashes, &why) &&
	        why.kind == ERR_NOT_FOUND;
	free(hashes);
	return lacks;
}

/* Open what lies there, of whatever size: that is part of what the hash says. */
static int open_item(const struct layout *layout, struct item *item, bool is_aside, struct err *err)
{
	char object[LAYOUT_OBJECT_SIZE], aside[DIGEST_TEXT_SIZE];
	const char *name = is_aside ? digest_hex(&item->digest, aside)
	                            : layout_object_name(&item->digest, object);
	CLEANUP(cleanup_fd)
	int fd = openat(is_aside ? layout->quarantine : layout->objects, name,
	                O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "object %s is missing", name);
	if (fd < 0 || fstat(fd, &st))
		return err_set_sys(err, errno, "open object %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_DIGEST, "object %s is no file", name);
	item->size = (uint64_t)st.st_size;
	return steal_fd(&fd);
}

/* Begin with an object. One that can't be opened is dealt with at once. */
static int start_check(struct store_scrub *scrub, struct check *check, struct item *item,
                       bool is_aside, struct err *err)
{
	struct store *store = scrub->store;
	int fd = open_item(&store->layout, item, is_aside, err);

	if (fd < 0) {
		if (is_aside || err->kind == ERR_NOT_FOUND)
			return 0; /* still unreadable; or swept since it was listed */
		(void)damage_judge(store, &item->digest, OBJECT_ANY_SIZE, -1, "", err);
		return err->kind == ERR_DIGEST ? 0 : -1;
	}
	*check = (struct check){ .fd = fd, .item = *item, .is_aside = is_aside };
	check->hashes = (struct buf)BUF_INIT(BLOCKS_MAX_BYTES);
	check->makes_list = !is_aside && lacks_list(&store->layout, item);
	check->hasher = hasher_new(DIGEST_SHA256, err);
	if (!check->hasher) {
		end_check(check);
		return -1;
	}
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

static void count_object(struct store *store, uint64_t bytes, unsigned objects)
{
	(void)pthread_mutex_lock(&store->mutex);
	store->scrub_bytes += bytes;
	store->scrub_objects += objects;
	(void)pthread_mutex_unlock(&store->mutex);
}

/* What was put aside is whole after all. */
static int put_back(struct store *store, const struct item *item, struct err *err)
{
	char name[DIGEST_TEXT_SIZE];

	if (object_is_there(&store->layout, &item->digest, item->size)) {
		object_forget_aside(&store->layout, digest_hex(&item->digest, name));
		return 0;
	}
	if (layout_place(store->layout.quarantine, digest_hex(&item->digest, name),
	                 store->layout.objects, &item->digest, err))
		return -1;
	damage_healed(store, &item->digest, "it can be read again, and is as it was");
	return 0;
}

static int is_whole(struct store *store, struct check *check, struct err *err)
{
	const struct item *item = &check->item;
	char subject[sizeof("objects/") + LAYOUT_OBJECT_SIZE], name[LAYOUT_OBJECT_SIZE];

	if (check->is_aside)
		return put_back(store, item, err);
	/* What a request put aside meanwhile is judged there, at the end of the pass. */
	if (!object_is_same(&store->layout, &item->digest, check->fd))
		return 0;
	damage_healed(store, &item->digest, "it was put in its place");
	if (!check->makes_list)
		return 0;
	if (blocks_write(&store->layout, &item->digest, item->size, &check->hashes, err))
		return -1;
	(void)snprintf(subject, sizeof(subject), "objects/%s",
	               layout_object_name(&item->digest, name));
	store_tell(store, STORE_HASHES_MADE, subject, "");
	return 0;
}

static int judge(struct store *store, struct check *check, struct err *err)
{
	const struct item *item = &check->item;
	char name[LAYOUT_OBJECT_SIZE];
	struct digest found;

	if (hasher_end(check->hasher, &found, err))
		return -1;
	if (digest_equal(&found, &item->digest))
		return is_whole(store, check, err);
	return err_set(err, ERR_DIGEST, "object %s does not have the content of its name",
	               layout_object_name(&item->digest, name));
}

static int read_on(struct store_scrub *scrub, struct check *check, size_t part, struct err *err)
{
	if (io_read_at(check->fd, scrub->block, part, check->at, "object", err) ||
	    hasher_add(check->hasher, scrub->block, part, err) ||
	    (check->makes_list && blocks_add(&check->hashes, scrub->block, part, err)))
		return -1;
	check->at += part;
	return check->at < check->item.size ? 0 : judge(scrub->store, check, err);
}

static int go_on(struct store_scrub *scrub, struct check *check, uint64_t *out_bytes,
                 struct err *err)
{
	uint64_t left = check->item.size - check->at;
	size_t part = left < READ_BYTES ? (size_t)left : READ_BYTES;
	int failed = read_on(scrub, check, part, err);

	*out_bytes = part;
	count_object(scrub->store, part, part == left);
	if (failed && err->kind == ERR_FORMAT) /* it was cut off while it was read */
		err->kind = ERR_DIGEST;
	if (failed && !check->is_aside)
		(void)damage_judge(scrub->store, &check->item.digest, check->item.size, check->fd,
		                   "", err);
	if (failed && (err->kind == ERR_DIGEST || check->is_aside))
		failed = 0;
	if (failed || part == left)
		end_check(check);
	return failed;
}

/* ---- what requests wait for ---- */

void store_want_hashes(struct store *store, const struct digest *object, uint64_t size)
{
	bool is_known = false;

	(void)pthread_mutex_lock(&store->mutex);
	for (size_t i = 0; i < store->wanted_count; i++)
		is_known |= digest_equal(&store->wanted[i].object, object);
	if (!is_known && store->wanted_count < STORE_WANTED_MAX)
		store->wanted[store->wanted_count++] = (struct store_wanted){ *object, size };
	(void)pthread_mutex_unlock(&store->mutex);
}

bool store_scrub_is_wanted(struct store *store)
{
	bool is_wanted;

	(void)pthread_mutex_lock(&store->mutex);
	is_wanted = store->wanted_count > 0;
	(void)pthread_mutex_unlock(&store->mutex);
	return is_wanted;
}

static int start_wanted(struct store_scrub *scrub, struct err *err)
{
	struct store *store = scrub->store;
	struct item item = { .size = 0 };

	(void)pthread_mutex_lock(&store->mutex);
	if (store->wanted_count) {
		item = (struct item){ store->wanted[0].object, store->wanted[0].size };
		store->wanted[0] = store->wanted[--store->wanted_count];
	}
	(void)pthread_mutex_unlock(&store->mutex);
	return item.size ? start_check(scrub, &scrub->urgent, &item, false, err) : 0;
}

/* ---- a pass ---- */

static int look_for(void *ctx, const char *path, const struct tree_item *item, struct err *err)
{
	(void)err;
	if (item->kind == TREE_FILE)
		damage_look(ctx, &item->content, item->size, path);
	if (item->twin_size)
		damage_look(ctx, &item->twin, item->twin_size, path);
	return 0;
}

static int look_at_release(struct store *store, const char *tag, struct err *err)
{
	struct store_release info;
	int failed;

	(void)pthread_mutex_lock(&store->sweeping);
	/* First as a whole: what a damaged file says of an object is no word against it. */
	failed = release_read(&store->layout, tag, &info, NULL, NULL, err) ||
	                         release_read(&store->layout, tag, &info, look_for, store, err)
	                 ? -1
	                 : 0;
	(void)pthread_mutex_unlock(&store->sweeping);
	if (failed && err->kind == ERR_FORMAT) {
		store_tell(store, STORE_RELEASE_BROKEN, tag, err->msg);
		known_doubt(store); /* so that it is fetched again */
	}
	/* One that was removed meanwhile is nothing to look at. */
	return failed && err->kind != ERR_FORMAT && err->kind != ERR_NOT_FOUND ? -1 : 0;
}

static int next_release(struct store_scrub *scrub, struct err *err)
{
	if (!scrub->tags) {
		if (release_tags(&scrub->store->layout, &scrub->tags, &scrub->tag_count, err))
			return -1;
		scrub->tag_at = 0;
	}
	if (scrub->tag_at < scrub->tag_count)
		return look_at_release(scrub->store, scrub->tags[scrub->tag_at++], err);
	drop_tags(scrub);
	scrub->has_tags = true;
	return 0;
}

static int add_item(struct store_scrub *scrub, const char *hex, const struct stat *st,
                    struct err *err)
{
	struct digest digest;
	struct err no_object;
	struct item *more;

	if (digest_parse_hex(hex, strlen(hex), &digest, &no_object))
		return 0;
	if (scrub->item_count % 64 == 0) {
		more = realloc(scrub->items, (scrub->item_count + 64) * sizeof(*more));
		if (!more)
			return err_set_sys(err, ENOMEM, "list of objects");
		scrub->items = more;
	}
	scrub->items[scrub->item_count++] = (struct item){ .digest = digest,
		                                           .size = (uint64_t)st->st_size };
	scrub->folder_bytes += (uint64_t)st->st_size;
	return 0;
}

static int list_folder(struct store_scrub *scrub, struct err *err)
{
	const struct layout *layout = &scrub->store->layout;
	bool is_aside = scrub->folder == FOLDERS;
	char prefix[3] = "";
	CLEANUP(cleanup_dir) DIR *dir = NULL;
	const struct dirent *entry;
	int more;

	scrub->is_listed = true;
	scrub->item_count = scrub->item_at = 0;
	scrub->folder_bytes = scrub->done_bytes = 0;
	if (!is_aside)
		(void)snprintf(prefix, sizeof(prefix), "%02x", scrub->folder);
	if (!is_aside && faccessat(layout->objects, prefix, F_OK, 0))
		return 0; /* folders are made on demand */
	dir = layout_list(is_aside ? layout->quarantine : layout->objects, is_aside ? "." : prefix,
	                  err);
	if (!dir)
		return -1;
	while ((more = layout_next(dir, &entry, is_aside ? "quarantine" : prefix, err)) > 0) {
		char hex[2 + 64 + 1];
		struct stat st;

		if (entry->d_name[0] == '.' || strlen(entry->d_name) + strlen(prefix) != 64 ||
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		(void)snprintf(hex, sizeof(hex), "%s%.64s", prefix, entry->d_name);
		if (add_item(scrub, hex, &st, err))
			return -1;
	}
	return more;
}

static void end_pass(struct store_scrub *scrub)
{
	struct store *store = scrub->store;

	scrub->folder = 0;
	scrub->has_tags = false;
	(void)pthread_mutex_lock(&store->mutex);
	store->scrub_passes++;
	store->scrub_passed_at = (int64_t)time(NULL);
	(void)pthread_mutex_unlock(&store->mutex);
}

static int end_folder(struct store_scrub *scrub, bool *out_ended, struct err *err)
{
	scrub->is_listed = false;
	scrub->folder++;
	*out_ended = scrub->folder == PARTS;
	if (*out_ended)
		end_pass(scrub);
	return *out_ended || clock_now_ms() - scrub->saved_ms >= SAVE_MS ? save_position(scrub, err)
	                                                                 : 0;
}

static int next(struct store_scrub *scrub, bool *out_ended, struct err *err)
{
	if (!scrub->has_tags)
		return next_release(scrub, err);
	if (!scrub->is_listed)
		return list_folder(scrub, err);
	if (scrub->item_at < scrub->item_count) {
		struct item *item = &scrub->items[scrub->item_at++];

		return start_check(scrub, &scrub->check, item, scrub->folder == FOLDERS, err);
	}
	return end_folder(scrub, out_ended, err);
}

static uint32_t ppm_of(const struct store_scrub *scrub)
{
	double part = scrub->is_listed && scrub->folder_bytes
	                      ? (double)scrub->done_bytes / (double)scrub->folder_bytes
	                      : 0;

	return (uint32_t)(((double)scrub->folder + (part < 1 ? part : 1)) / PARTS * MILLION);
}

int store_scrub_step(struct store_scrub *scrub, bool only_wanted,
                     struct store_scrub_progress *out_progress, struct err *err)
{
	struct store_scrub_progress progress = { .bytes = 0 };
	int failed = 0;

	if (scrub->urgent.fd < 0)
		failed = start_wanted(scrub, err);
	if (scrub->urgent.fd >= 0) {
		progress.is_urgent = true;
		failed = go_on(scrub, &scrub->urgent, &progress.bytes, err);
	} else if (!failed && !only_wanted && scrub->check.fd >= 0) {
		failed = go_on(scrub, &scrub->check, &progress.bytes, err);
		scrub->done_bytes += progress.bytes;
	} else if (!failed && !only_wanted) {
		failed = next(scrub, &progress.has_ended, err);
	}
	progress.ppm = ppm_of(scrub);
	(void)pthread_mutex_lock(&scrub->store->mutex);
	scrub->store->scrub_ppm = progress.ppm;
	(void)pthread_mutex_unlock(&scrub->store->mutex);
	*out_progress = progress;
	return failed;
}
