/*
 * Downloads; see storage.h. A file in tmp/ that bears the digest of what it is
 * to become. It is never trusted for its name: who goes on with it hashes what
 * is there first, since a kill, a power loss or a hand may have been at it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "lease.h"
#include "store.h"

enum {
	STALE_S = 7 * 24 * 60 * 60,
	READ_BYTES = 128 * 1024,
	TIGHT = 16, /* times a layer's size that its files may come to: manifests are text */
};

static char *download_name(const struct digest *digest, char name[static DOWNLOAD_NAME_SIZE])
{
	char text[DIGEST_TEXT_SIZE];

	(void)snprintf(name, DOWNLOAD_NAME_SIZE, LAYOUT_DOWNLOAD "%s", digest_format(digest, text));
	name[strcspn(name, ":")] = '-';
	return name;
}

/* Remove downloads that nobody has touched for so long; `except` may be NULL. */
static void sweep(const struct store *store, time_t age_s, const char *except)
{
	const int tmp = store->layout.tmp;
	int fd = openat(tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	time_t now = time(NULL);
	struct stat st;

	if (!dir) {
		cleanup_fd(&fd);
		return;
	}
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, LAYOUT_DOWNLOAD, sizeof(LAYOUT_DOWNLOAD) - 1) &&
		    (!except || strcmp(entry->d_name, except) != 0) &&
		    !fstatat(tmp, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		    now - st.st_mtime >= age_s)
			(void)unlinkat(tmp, entry->d_name, 0);
	(void)closedir(dir);
}

void download_sweep_stale(const struct store *store)
{
	sweep(store, STALE_S, NULL);
}

void store_download_sweep(struct store *store)
{
	sweep(store, 0, NULL);
}

/*
 * What can be freed is freed first. What a layer unpacks to is not known, so
 * objects that nothing names go as soon as it may get tight; other downloads, and
 * then what is kept for replaced views, of which something would be lost, only
 * when the layer itself does not fit.
 */
static int make_room(struct store *store, uint64_t size, uint64_t held, const char *except,
                     struct err *err)
{
	const uint64_t files = size < UINT64_MAX / TIGHT ? size * TIGHT : UINT64_MAX;
	uint64_t swept;

	if (layout_check_room(&store->layout, files, err) &&
	    (err->kind != ERR_NO_SPACE || store_collect(store, &swept, err)))
		return -1;
	if (!layout_check_room(&store->layout, size - held, err))
		return 0;
	if (err->kind != ERR_NO_SPACE)
		return -1;
	sweep(store, 0, except);
	if (!layout_check_room(&store->layout, size - held, err))
		return 0;
	if (err->kind != ERR_NO_SPACE || !leases_end(store) || store_collect(store, &swept, err))
		return -1;
	return layout_check_room(&store->layout, size - held, err);
}

/* Find out what is there already; what can't be its beginning is thrown away. */
static int look_inside(struct store_download *download, uint64_t size, struct err *err)
{
	struct stat st;

	if (fstat(download->fd, &st))
		return err_set_sys(err, errno, "open tmp/%s", download->name);
	download->size = (uint64_t)st.st_size;
	if (download->size > size)
		return store_download_restart(download, err);
	if (lseek(download->fd, 0, SEEK_END) < 0)
		return err_set_sys(err, errno, "open tmp/%s", download->name);
	return 0;
}

struct store_download *store_download_open(struct store *store, const struct digest *layer,
                                           uint64_t size, struct err *err)
{
	struct store_download *download = calloc(1, sizeof(*download));

	if (!download) {
		(void)err_set_sys(err, ENOMEM, "download");
		return NULL;
	}
	download->store = store;
	download->fd = openat(store->layout.tmp, download_name(layer, download->name),
	                      O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (download->fd < 0)
		(void)err_set_sys(err, errno, "create tmp/%s", download->name);
	if (download->fd < 0 || look_inside(download, size, err) ||
	    make_room(store, size, download->size, download->name, err)) {
		store_download_free(download);
		return NULL;
	}
	return download;
}

uint64_t store_download_held(const struct store_download *download)
{
	return download->size;
}

int store_download_read(struct store_download *download, void *bytes, size_t size, uint64_t offset,
                        struct err *err)
{
	if (!io_read_at(download->fd, bytes, size, offset, "the download", err))
		return 0;
	/* It would fail with each try; fetched anew, it comes to lie elsewhere. */
	download->is_done = true;
	return -1;
}

void download_doubt(struct store_download *download)
{
	CLEANUP(cleanup_free) char *block = malloc(READ_BYTES);
	struct err unneeded;

	for (uint64_t at = 0; block && at < download->size && !download->is_done;
	     at += READ_BYTES) {
		uint64_t left = download->size - at;

		if (store_download_read(download, block,
		                        left < READ_BYTES ? (size_t)left : READ_BYTES, at,
		                        &unneeded))
			return;
	}
}

int store_download_write(struct store_download *download, const void *bytes, size_t size,
                         struct err *err)
{
	const struct layout *layout = &download->store->layout;

	if (download->unlooked + size > layout_look_bytes(layout)) {
		if (layout_check_room(layout, size, err)) {
			download->is_done = true;
			return -1;
		}
		download->unlooked = 0;
	}
	if (io_write_all(download->fd, bytes, size, "the download", err)) {
		layout_explain(layout, err);
		/* It is not sure how much of it was written, and the room is needed. */
		download->is_done = true;
		return -1;
	}
	download->unlooked += size;
	download->size += size;
	return 0;
}

int store_download_restart(struct store_download *download, struct err *err)
{
	if (ftruncate(download->fd, 0) || lseek(download->fd, 0, SEEK_SET) < 0) {
		download->is_done = true;
		return err_set_sys(err, errno, "empty tmp/%s", download->name);
	}
	download->size = 0;
	return 0;
}

void store_download_free(struct store_download *download)
{
	if (!download)
		return;
	cleanup_fd(&download->fd);
	if (download->is_done || !download->size)
		(void)unlinkat(download->store->layout.tmp, download->name, 0);
	free(download);
}
