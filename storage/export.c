/*
 * Giving a view's files back: as a folder, or as an archive that is the same
 * bytes for the same files. Each file is verified before its first byte goes out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "export.h"
#include "part.h"
#include "path.h"
#include "remove_tree.h"
#include "store.h"

struct exporting {
	struct store *store;
	const struct store_view *view;
	int folder;              /* to be filled, or -1 */
	struct archive *archive; /* to be written, or NULL */
	int out;                 /* where it goes */
	bool is_over; /* and nothing more does: it is to have no end that says it is whole */
	const struct store_export_observer *observer;
	uint64_t done, all; /* bytes */
	char path[PATH_ROOM];
};

typedef int write_bytes(void *ctx, const void *bytes, size_t size, struct err *err);

/* ---- contents ---- */

static int copy_large(const struct store_content *content, uint64_t size, write_bytes *write,
                      void *ctx, struct err *err)
{
	CLEANUP(cleanup_free) char *block = malloc(STORE_BLOCK_BYTES);
	size_t part;

	if (!block)
		return err_set_sys(err, ENOMEM, "copy");
	for (uint64_t at = 0; at < size; at += part)
		if (store_content_read(content, at, block, STORE_BLOCK_BYTES, &part, err) ||
		    write(ctx, block, part, err))
			return -1;
	return 0;
}

static int copy(struct store *store, const struct store_entry *file, write_bytes *write, void *ctx,
                struct err *err)
{
	CLEANUP(store_content_release) struct store_content content = { .bytes = NULL };

	if (store_content_open(store, file, &content, err))
		return -1;
	if (content.reader)
		return copy_large(&content, file->size, write, ctx, err);
	return file->size ? write(ctx, content.bytes, (size_t)file->size, err) : 0;
}

static int write_to_fd(void *ctx, const void *bytes, size_t size, struct err *err)
{
	return io_write_all(*(const int *)ctx, bytes, size, "the output", err);
}

int store_export_file(struct store *store, const struct store_entry *file, int fd, struct err *err)
{
	return copy(store, file, write_to_fd, &fd, err);
}

/* ---- an archive ---- */

static int archive_failed(struct archive *archive, struct err *err)
{
	return err_set(err, ERR_IO, "write the archive: %s", archive_error_string(archive));
}

static int write_to_archive(void *ctx, const void *bytes, size_t size, struct err *err)
{
	return archive_write_data(ctx, bytes, size) == (la_ssize_t)size ? 0
	                                                                : archive_failed(ctx, err);
}

static int write_header(const struct exporting *exporting, const struct store_entry *entry,
                        struct err *err)
{
	struct archive_entry *header = archive_entry_new();
	int failed;

	if (!header)
		return err_set_sys(err, ENOMEM, "archive");
	archive_entry_set_pathname(header, exporting->path);
	archive_entry_set_filetype(header, entry->is_folder ? AE_IFDIR : AE_IFREG);
	archive_entry_set_perm(header, entry->mode);
	archive_entry_set_mtime(header, (time_t)entry->mtime, 0);
	archive_entry_set_size(header, entry->is_folder ? 0 : (la_int64_t)entry->size);
	failed = archive_write_header(exporting->archive, header) != ARCHIVE_OK;
	archive_entry_free(header);
	return failed ? archive_failed(exporting->archive, err) : 0;
}

/* ---- a folder ---- */

/* Times and permissions come last. A folder's owner can always go into it and empty it. */
static int finish(int fd, const char *path, const struct store_entry *entry, struct err *err)
{
	const mode_t mode = (entry->mode & 0777) | (entry->is_folder ? 0700 : 0);
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
		                           { .tv_sec = (time_t)entry->mtime } };

	if (fchmod(fd, mode) || futimens(fd, times))
		return err_set_sys(err, errno, "finish %s", path);
	return 0;
}

static int make_file(const struct exporting *exporting, const struct store_entry *entry,
                     struct err *err)
{
	CLEANUP(cleanup_fd)
	int fd = openat(exporting->folder, exporting->path,
	                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set_sys(err, errno, "create %s", exporting->path);
	if (store_export_file(exporting->store, entry, fd, err) ||
	    finish(fd, exporting->path, entry, err))
		return -1;
	return close(steal_fd(&fd)) ? err_set_sys(err, errno, "close %s", exporting->path) : 0;
}

static int end_folder(const struct exporting *exporting, const struct store_entry *entry,
                      struct err *err)
{
	CLEANUP(cleanup_fd)
	int fd = openat(exporting->folder, exporting->path,
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_set_sys(err, errno, "open %s", exporting->path);
	return finish(fd, exporting->path, entry, err);
}

/* ---- all of it ---- */

static int export_file(struct exporting *exporting, const struct store_entry *entry,
                       struct err *err)
{
	const struct store_export_observer *observer = exporting->observer;

	observer->progress(observer->ctx, exporting->done, exporting->all);
	if (exporting->archive ? write_header(exporting, entry, err) ||
	                                 copy(exporting->store, entry, write_to_archive,
	                                      exporting->archive, err)
	                       : make_file(exporting, entry, err))
		return -1;
	exporting->done += entry->size;
	return 0;
}

/* The folder at exporting->path, which has this length. */
static int export_folder(struct exporting *exporting, const struct store_entry *folder,
                         size_t length, struct err *err)
{
	for (uint32_t i = 0; i < folder->child_count; i++) {
		const struct store_entry *child = store_view_child(exporting->view, folder, i);
		size_t size = strlen(child->name);

		if (length + 1 + size + 1 > sizeof(exporting->path))
			return err_set(err, ERR_LIMIT, "a path below %.100s is too long",
			               exporting->path);
		if (length)
			exporting->path[length] = '/';
		memcpy(exporting->path + length + (length > 0), child->name, size + 1);
		if (!child->is_folder) {
			if (export_file(exporting, child, err))
				return -1;
			continue;
		}
		if (exporting->archive ? write_header(exporting, child, err)
		                       : mkdirat(exporting->folder, exporting->path, 0700))
			return exporting->archive ? -1
			                          : err_set_sys(err, errno, "create folder %s",
			                                        exporting->path);
		if (export_folder(exporting, child, length + (length > 0) + size, err))
			return -1;
	}
	exporting->path[length] = '\0';
	return exporting->archive || !length ? 0 : end_folder(exporting, folder, err);
}

static int export_all(struct exporting *exporting, struct err *err)
{
	const struct store_export_observer *observer = exporting->observer;

	for (size_t i = 0; i < store_view_release_count(exporting->view); i++)
		exporting->all += store_view_release(exporting->view, i)->bytes;
	if (export_folder(exporting, store_view_find(exporting->view, "", 0), 0, err))
		return -1;
	observer->progress(observer->ctx, exporting->all, exporting->all);
	return 0;
}

static la_ssize_t write_archive(struct archive *archive, void *ctx, const void *bytes, size_t size)
{
	const struct exporting *exporting = ctx;
	struct err err;

	if (!exporting->is_over && io_write_all(exporting->out, bytes, size, "the output", &err)) {
		archive_set_error(archive, err.sys, "%s", err.msg);
		return -1;
	}
	return (la_ssize_t)size;
}

int store_export_tar(struct store *store, const struct store_view *view, int fd,
                     const struct store_export_observer *observer, struct err *err)
{
	struct exporting exporting = { .store = store,
		                       .view = view,
		                       .folder = -1,
		                       .archive = archive_write_new(),
		                       .out = fd,
		                       .observer = observer };
	struct archive *archive = exporting.archive;
	int failed;

	if (!archive)
		return err_set_sys(err, ENOMEM, "archive");
	/* GNU's format takes names as the bytes that they are, of any length. */
	if (archive_write_set_format_gnutar(archive) ||
	    archive_write_set_bytes_in_last_block(archive, 1) ||
	    archive_write_open(archive, &exporting, NULL, write_archive, NULL))
		failed = archive_failed(archive, err);
	else
		failed = export_all(&exporting, err);
	exporting.is_over = failed != 0;
	if (archive_write_close(archive) && !failed)
		failed = archive_failed(archive, err);
	(void)archive_write_free(archive);
	return failed;
}

static int fill_folder(struct exporting *exporting, const struct part *part, const char *path,
                       struct err *err)
{
	exporting->folder = part->fd;
	if (export_all(exporting, err))
		return -1;
	if (syncfs(part->fd))
		return err_set_sys(err, errno, "make %s durable", part->path);
	if (fchmod(part->fd, 0755))
		return err_set_sys(err, errno, "finish %s", part->path);
	/* Takes the place of an empty folder, and of nothing else. */
	return rename(part->path, path)
	               ? err_set_sys(err, errno, "rename %s to %s", part->path, path)
	               : 0;
}

/* Before the work is done, rather than at its end: nothing, or an empty folder. */
static int check_free(const char *path, struct err *err)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	bool has_any = false;

	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return err_set_sys(err, errno, "open folder %s", path);
	while (!has_any && (entry = readdir(dir)))
		has_any = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	(void)closedir(dir);
	return has_any ? err_set(err, ERR_CONFIG, "%s is there already, and not empty", path) : 0;
}

int store_export_folder(struct store *store, const struct store_view *view, const char *path,
                        const struct store_export_observer *observer, struct err *err)
{
	struct exporting exporting = {
		.store = store, .view = view, .folder = -1, .observer = observer
	};
	size_t length = strlen(path);
	struct part part;
	int failed;

	while (length > 1 && path[length - 1] == '/')
		length--;
	if (check_free(path, err) || part_make(path, length, &part, err))
		return -1;
	failed = fill_folder(&exporting, &part, path, err);
	if (failed)
		remove_tree(part.path);
	cleanup_fd(&part.fd);
	return failed;
}
