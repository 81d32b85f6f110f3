/* When what AWS gives ends, and when it is to be renewed. */
#ifndef SPECMAN_OCI_AWS_TIME_H
#define SPECMAN_OCI_AWS_TIME_H

#include <stdint.h>

#include "base/err.h"
#include "oci/exchange.h"

/*
 * Seconds since 1970 of "2024-12-06T12:43:14Z", with or without a fraction
 * (RFC 3339 in the form that AWS writes). ERR_FORMAT for anything else.
 */
MUST_CHECK int aws_time_parse(const char *text, int64_t *out_seconds, struct err *err);

/*
 * How many seconds the clock of the one who answered is ahead of ours, from the
 * answer's Date (RFC 9110, section 6.6.1); 0 without one.
 */
int64_t aws_time_skew(const struct exchange *exchange);

/*
 * The seconds from the answer to end_s, by the clock of the one who answered:
 * ours may differ. From 0 to LIMIT_AWS_LIFE_S.
 */
int64_t aws_time_life(const struct exchange *exchange, int64_t end_s);

/*
 * After how many seconds something that lives life_s is to be renewed: margin_s
 * before its end, or after half its life where the margin is the larger part.
 * At least 1: nobody asks without a pause.
 */
int64_t aws_time_renew(int64_t life_s, int64_t margin_s);

#endif
