/* Conditional and range requests: RFC 9110, sections 13 and 14. */
#ifndef SPECMAN_CONDITIONAL_H
#define SPECMAN_CONDITIONAL_H

#include <stdbool.h>
#include <stdint.h>

/* The request's header fields; NULL where there is none. */
struct preconditions {
	const char *if_match;
	const char *if_none_match;
	const char *if_modified_since;
	const char *if_unmodified_since;
	const char *range;
	const char *if_range;
};

enum verdict {
	VERDICT_WHOLE,         /* 200 */
	VERDICT_PART,          /* 206 */
	VERDICT_NOT_MODIFIED,  /* 304 */
	VERDICT_FAILED,        /* 412 */
	VERDICT_UNSATISFIABLE, /* 416 */
};

/* Of a representation of `size` bytes: `length` bytes from `first` on. */
struct part {
	uint64_t first;
	uint64_t length;
};

/*
 * What a GET or HEAD gets (section 13.2.2). etag is strong and with its quotes;
 * mtime in seconds since 1970. One range is honoured; several, or a malformed
 * one, give the whole (section 14.2 allows that). *out_part is what to send.
 */
enum verdict conditional_judge(const struct preconditions *request, const char *etag, int64_t mtime,
                               uint64_t size, struct part *out_part);

enum { HTTP_DATE_SIZE = 32 };

/* IMF-fixdate (RFC 9110, section 5.6.7). Returns text. */
char *http_date(int64_t time, char text[static HTTP_DATE_SIZE]);

/* Parse any of the three forms. Returns whether it is a date. */
bool http_date_parse(const char *text, int64_t *out_time);

#endif
