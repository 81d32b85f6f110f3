/* Moments of the wall clock as RFC 3339 writes them (section 5.6). */
#ifndef SPECMAN_BASE_TIMESTAMP_H
#define SPECMAN_BASE_TIMESTAMP_H

#include <stdint.h>

#include "base/err.h"

enum { TIMESTAMP_SIZE = 32 };

/* Milliseconds since 1970, now. */
int64_t timestamp_now_ms(void);

/*
 * Parse "2024-12-06T12:43:14Z", with or without a fraction (its digits after
 * the third are dropped), with Z or an offset such as +02:00. -1 for anything else.
 */
MUST_CHECK int timestamp_parse(const char *text, int64_t *out_ms);

/* Write "2024-12-06T12:43:14.000Z" and return text. Years 0 to 9999. */
char *timestamp_format(int64_t ms, char text[static TIMESTAMP_SIZE]);

#endif
