/* What a client would rather have: Accept and Accept-Encoding (RFC 9110, section 12.5). */
#ifndef SPECMAN_ACCEPT_H
#define SPECMAN_ACCEPT_H

#include <stdbool.h>

/*
 * All take the lines of the field, NULL behind the last; blanks may stand at
 * the end of one. An element that has a malformed weight counts as refused.
 */

/*
 * Whether the gzip form is wanted: it is named (or `x-gzip`, or `*`) with a
 * weight that is neither 0 nor less than what is given to `identity`. Without
 * the field it is not.
 */
bool accept_gzip(const char *const *lines);

/*
 * Whether JSON is wanted rather than a text for people: application/json is
 * named itself, and text/html is not, or weighs less.
 */
bool accept_json(const char *const *lines);

/*
 * Whether OpenMetrics is wanted rather than Prometheus' older text format:
 * application/openmetrics-text is named itself, and text/plain is not, or weighs
 * no more. Their versions are not looked at: there is one of each.
 */
bool accept_openmetrics(const char *const *lines);

#endif
