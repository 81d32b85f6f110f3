/* Conditional requests: RFC 9110, section 13, with the ranges of section 14. */
#ifndef SPECMAN_CONDITIONAL_H
#define SPECMAN_CONDITIONAL_H

#include <stdbool.h>
#include <stdint.h>

#include "head.h"
#include "range.h"

enum verdict {
	VERDICT_WHOLE,         /* 200 */
	VERDICT_PARTS,         /* 206 */
	VERDICT_NOT_MODIFIED,  /* 304 */
	VERDICT_FAILED,        /* 412 */
	VERDICT_UNSATISFIABLE, /* 416 */
};

/*
 * What a GET or HEAD gets (section 13.2.2) of a representation of `size` bytes.
 * etag is strong and with its quotes; mtime in seconds since 1970. Ranges are
 * GET's alone (section 14.2). *out_parts is what to send: the whole as one part.
 */
enum verdict conditional_judge(const struct head *request, bool is_head, const char *etag,
                               int64_t mtime, uint64_t size, struct parts *out_parts);

enum { HTTP_DATE_SIZE = 32 };

/* IMF-fixdate (RFC 9110, section 5.6.7). Returns text. */
char *http_date(int64_t time, char text[static HTTP_DATE_SIZE]);

/* Parse any of the three forms. Returns whether it is a date. */
bool http_date_parse(const char *text, int64_t *out_time);

#endif
