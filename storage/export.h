/*
 * Exporting: what the store has, written elsewhere, every byte of it verified
 * before. For readers and for the writer.
 */
#ifndef SPECMAN_STORAGE_EXPORT_H
#define SPECMAN_STORAGE_EXPORT_H

#include "storage/storage.h"

/*
 * Write a file's content to fd, every byte of it verified before the first goes
 * out. Errors of store_content_open, ERR_IO.
 */
MUST_CHECK int store_export_file(struct store *store, const struct store_entry *file, int fd,
                                 struct err *err);

/* How far an export or a check is, in bytes. Called often. */
struct store_export_observer {
	void (*progress)(void *ctx, uint64_t done, uint64_t all);
	void *ctx;
};

/*
 * Write a view of one release as a tar archive (GNU's format): the same bytes
 * for the same files, whoever does it. Each file is verified before it is
 * written. On an error the archive has no end. Errors of store_content_open, ERR_IO.
 */
MUST_CHECK int store_export_tar(struct store *store, const struct store_view *view, int fd,
                                const struct store_export_observer *observer, struct err *err);

/*
 * Write it as a folder, which must not be there yet, or be empty. It is filled
 * under another name beside its place (path.specman-part-…), and appears as a whole;
 * after an error nothing of it is left, and what a kill left goes with the next export
 * to the same place. ERR_CONFIG when path is in use.
 */
MUST_CHECK int store_export_folder(struct store *store, const struct store_view *view,
                                   const char *path, const struct store_export_observer *observer,
                                   struct err *err);

#endif
