/*
 * Packing: from a folder to the archive that a release is pushed as, and trying
 * whether an archive would be taken. Neither needs a store.
 */
#ifndef SPECMAN_STORAGE_PACK_H
#define SPECMAN_STORAGE_PACK_H

#include "storage/export.h"

/* What a folder that was packed holds. */
struct store_contents {
	uint64_t files, folders, links;
	uint64_t bytes; /* of all files */
};

/*
 * Pack a folder into fd, as `tar -czf manifests.tgz .` would, but so that the same
 * files give the same bytes: sorted by name, the time 0, the owner 0, permissions
 * 0644 or 0755, GNU's tar format, gzip without name and time. Links within the folder
 * stay links. What unpacking would refuse is refused before a byte is written:
 * ERR_FORMAT and ERR_LIMIT name the entry, ERR_IO the file that can't be read (with
 * .sys). Memory does not grow with the size of files. ERR_CANCELLED.
 */
MUST_CHECK int store_pack(const char *folder, int fd, const struct store_limits *limits,
                          const struct cancel *cancel, const struct store_export_observer *observer,
                          struct store_contents *out_contents, struct err *err);

/*
 * Unpack an archive below the folder `scratch`, as store_publish would, and throw
 * away what came of it. The archive has no digest that it was to have. Errors: those
 * of store_publish for the archive, ERR_IO, ERR_NO_SPACE.
 */
MUST_CHECK int store_try_archive(int fd, const char *scratch, const struct store_limits *limits,
                                 const struct cancel *cancel, struct err *err);

#endif
