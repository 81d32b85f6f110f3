/* Paths of archive entries, made safe. */
#ifndef SPECMAN_STORAGE_PATH_H
#define SPECMAN_STORAGE_PATH_H

#include <stddef.h>

#include "base/err.h"
#include "storage.h"

/* Room for a path within limits->path_bytes, which is at most this less one. */
enum { PATH_ROOM = 4096 + 1, PATH_COMPONENT_MAX = 255 };

/*
 * Bring an archive's path into the store's form: components without "." and
 * doubled or trailing slashes; "" for the root. Refused with ERR_FORMAT:
 * absolute paths, "..", control characters (C0, DEL, and C1 in UTF-8); with ERR_LIMIT: too
 * long, too deep, a component over 255 bytes. The text names the path.
 */
MUST_CHECK int path_normalise(const char *path, const struct store_limits *limits,
                              char out_path[static PATH_ROOM], struct err *err);

#endif
