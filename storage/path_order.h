/*
 * The order of a release's entries: depth first, a folder before what is in
 * it, siblings by name in byte order. That is the order of paths in which the
 * slash comes before every other byte.
 */
#ifndef SPECMAN_STORAGE_PATH_ORDER_H
#define SPECMAN_STORAGE_PATH_ORDER_H

#include <stddef.h>
#include <string.h>

/* Below, equal to or above 0, as strcmp. */
static inline int path_order(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t least = a_length < b_length ? a_length : b_length;
	size_t i = 0;
	unsigned char c, d;

	/* Eight at a time: neighbours have long beginnings in common. */
	while (i + 8 <= least && !memcmp(a + i, b + i, 8))
		i += 8;
	while (i < least && a[i] == b[i])
		i++;
	if (i == least)
		return (a_length > b_length) - (a_length < b_length);
	c = (unsigned char)a[i];
	d = (unsigned char)b[i];
	return c == '/' ? -1 : d == '/' ? 1 : c < d ? -1 : 1;
}

/* Whether path lies below the folder; everything but itself lies below the root. */
static inline int path_is_below(const char *path, size_t length, const char *folder,
                                size_t folder_length)
{
	if (!folder_length)
		return length > 0;
	return length > folder_length && path[folder_length] == '/' &&
	       !memcmp(path, folder, folder_length);
}

#endif
