/*
 * The head of a request (RFC 9112, sections 3 and 5), looked at a second time
 * and strictly. libmicrohttpd 0.9.75 is lenient where leniency lets two servers
 * in a row see different requests: it takes bare line feeds, NUL, folded lines,
 * blanks in front of a colon, and the first of several lengths. What it has
 * read lies in its buffer still, as it came but for the NULs that it put at the
 * ends of things; that is what is read here.
 */
#ifndef SPECMAN_HEAD_H
#define SPECMAN_HEAD_H

#include <stdbool.h>
#include <stddef.h>

enum {
	HEAD_MAX_BYTES = 16 * 1024,
	HEAD_FIELDS_MAX = 100,
	HEAD_LINES_MAX = 8, /* of one field */
};

/* The lines of a field whose value is a list; NULL behind the last. */
struct head_list {
	const char *lines[HEAD_LINES_MAX + 1];
	size_t count;
};

/*
 * Fields that matter here, borrowed from the buffer; NULL where there is none.
 * Blanks may stand at the end of a value.
 */
struct head {
	const char *host;
	const char *content_length;
	const char *transfer_encoding;
	const char *authorization;
	const char *range;
	const char *if_range;
	const char *if_modified_since;
	const char *if_unmodified_since;
	const char *user_agent;
	struct head_list if_match;
	struct head_list if_none_match;
	struct head_list accept;
	struct head_list accept_encoding;
};

/* What lies in libmicrohttpd's buffer. */
struct head_bytes {
	const char *bytes; /* from the method to behind the empty line */
	size_t size;
	const char *target; /* in bytes, where it is not looked at: its `?` is gone */
	size_t target_length;
	const char *version; /* in bytes */
	size_t fields;       /* that libmicrohttpd has found */
};

/* Each but the first is answered with the number that it has, and ends the connection. */
enum head_verdict {
	HEAD_FINE = 0,
	HEAD_MALFORMED = 400,
	HEAD_HAS_CONTENT = 413,
	HEAD_TARGET_TOO_LONG = 414,
	HEAD_TOO_LARGE = 431,
	HEAD_UNKNOWN_CODING = 501,
};

/*
 * Check every byte and collect the fields. Refused are: all that does not have
 * the form of RFC 9112; several lines of a field that may have one; a missing
 * or impossible Host (section 3.2); any content, for no method that is answered
 * takes one (section 6.3: framing that could be read in two ways is malformed).
 */
enum head_verdict head_read(const struct head_bytes *head, struct head *out_head);

#endif
