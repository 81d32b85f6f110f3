/* Range requests; see range.h. */
#include "range.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void skip_blanks(const char **at)
{
	*at += strspn(*at, " \t");
}

/* A number that is too large for us is larger than any file. */
static bool read_number(const char **at, uint64_t *out_number)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*out_number = strtoull(*at, &end, 10);
	if (errno)
		*out_number = UINT64_MAX;
	*at = end;
	skip_blanks(at);
	return true;
}

/* FIRST-LAST, FIRST- or -LENGTH (section 14.1.2). A part of no bytes can't be. False: malformed. */
static bool read_range(const char **at, uint64_t size, struct part *part)
{
	uint64_t first = 0, last = UINT64_MAX;
	bool is_suffix = **at == '-';

	if (!is_suffix && !read_number(at, &first))
		return false;
	if (*(*at)++ != '-')
		return false;
	skip_blanks(at);
	if (!read_number(at, &last) && is_suffix)
		return false;
	if (is_suffix) {
		first = last < size ? size - last : 0;
		last = UINT64_MAX;
	}
	if (last >= size)
		last = size - 1; /* of nothing: never looked at, since first is no less than size */
	*part = (struct part){ first, 0 };
	if (first < size && first <= last)
		part->length = last - first + 1;
	return **at == ',' || !**at;
}

/* All the ranges of a set; how many bytes they come to. */
static enum range_verdict read_set(const char *at, uint64_t size, struct parts *parts)
{
	uint64_t left = size;

	while (*at) {
		struct part part;

		at += strspn(at, " \t,");
		if (!*at)
			break;
		if (!read_range(&at, size, &part))
			return RANGE_NONE;
		if (!part.length)
			continue;
		if (parts->count == RANGES_MAX || part.length > left)
			return RANGE_IGNORED;
		left -= part.length;
		parts->at[parts->count++] = part;
	}
	return parts->count ? RANGE_PARTS : RANGE_NONE;
}

enum range_verdict range_parse(const char *field, uint64_t size, struct parts *out_parts)
{
	out_parts->count = 0;
	if (strncasecmp(field, "bytes=", 6) != 0 || !field[6] || !size)
		return RANGE_IGNORED;
	return read_set(field + 6, size, out_parts);
}
