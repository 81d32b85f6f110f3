/*
 * Reading a release's file, entry by entry, in its order (path_order.h), with
 * no more than a block of it in memory. Strict: whatever the writer would not
 * have written is damage. What was read counts only once the end has been
 * reached, since the file's hash is known to be right only then.
 *
 *	reader = release_reader_open(layout, tag, err);
 *	while ((more = release_reader_next(reader, &entry, err)) > 0)
 *		…
 *	if (!more)
 *		… all of it was true
 *	release_reader_free(reader);
 */
#ifndef SPECMAN_STORAGE_RELEASE_READER_H
#define SPECMAN_STORAGE_RELEASE_READER_H

#include "base/err.h"
#include "layout.h"
#include "storage.h"
#include "tree.h"

struct release_reader;

struct release_entry {
	const char *path; /* until the next one is read; never "" */
	size_t length;
	struct tree_item item;
};

/*
 * Open and read the head. ERR_NOT_FOUND when there is no such release,
 * ERR_FORMAT when it is damaged, also when the disk can't read it.
 */
MUST_CHECK struct release_reader *release_reader_open(const struct layout *layout, const char *tag,
                                                      struct err *err);

/* 1 with an entry, 0 at the end, which is true; -1 with ERR_FORMAT for damage, or ERR_IO. */
MUST_CHECK int release_reader_next(struct release_reader *reader, struct release_entry *out_entry,
                                   struct err *err);

/* What the head says; files and bytes count what was read until now. */
const struct store_release *release_reader_info(const struct release_reader *reader);

/* Tells the file from a changed one under the same name, as release_fingerprint does. */
uint64_t release_reader_fingerprint(const struct release_reader *reader);

/* The same without opening it; 0 when there is no file. */
uint64_t release_fingerprint(const struct layout *layout, const char *tag);

void release_reader_free(struct release_reader *reader);

#endif
