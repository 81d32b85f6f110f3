/* Range requests: RFC 9110, section 14. */
#ifndef SPECMAN_RANGE_H
#define SPECMAN_RANGE_H

#include <stddef.h>
#include <stdint.h>

enum { RANGES_MAX = 64 };

/* Of a representation: `length` bytes from `first` on. */
struct part {
	uint64_t first;
	uint64_t length;
};

struct parts {
	struct part at[RANGES_MAX];
	size_t count;
};

enum range_verdict {
	RANGE_IGNORED, /* send the whole */
	RANGE_PARTS,   /* send *out_parts, one at least */
	RANGE_NONE,    /* 416 */
};

/*
 * What a Range field asks of `size` bytes, as nginx understands it: parts come
 * in the order in which they were asked for, those that can't be are left out;
 * a set that is malformed or can't be at all is RANGE_NONE. Ignored are an empty
 * set, other units than bytes, any range of nothing, more than RANGES_MAX ranges, and those
 * that come to more than the whole (section 14.2 allows that). size is that of a
 * file: INT64_MAX at most, so that the heads of parts can be added to it.
 */
enum range_verdict range_parse(const char *field, uint64_t size, struct parts *out_parts);

#endif
