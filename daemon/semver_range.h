/*
 * Ranges of versions, as npm and Helm (Masterminds/semver) write them:
 *
 *	>=4.4 <5        comparators (= > >= < <=), all of which must hold, apart by
 *	>=4.4, <5       spaces or commas
 *	^4.5 || ~3.2    either side
 *	^4.5            up to the next number of the leftmost that is not 0: >=4.5.0 <5.0.0
 *	~4.5.1          up to the next minor, or major if no minor is given: >=4.5.1 <4.6.0
 *	4.5, 4.5.x, *   whatever stands for the numbers that are missing or x, X or *
 *	4.4 - 4.6       both ends included: >=4.4.0 <4.7.0
 *
 * A leading v is allowed. Numbers that are missing are treated as npm does:
 * <=4.5 takes 4.5.9, and >4.5 begins at 4.6.0.
 *
 * A pre-release (4.6.0-rc.1) is taken only when a comparator of its side of ||
 * has a pre-release itself, and then wherever it lies between the ends:
 * >=4.4.0-0 <5 takes all those of 4.4.0 and later. An upper end that was filled
 * up by the rules above (<5, ^4.5, ~4.5.1, 4.5.x) leaves out the pre-releases
 * of that end (5.0.0-rc.1); one in full (<5.0.0) does not.
 */
#ifndef SPECMAN_SEMVER_RANGE_H
#define SPECMAN_SEMVER_RANGE_H

#include <stdbool.h>

#include "base/err.h"

struct semver_range;

/*
 * Understand a range, of at most 64 comparators (^, ~, x and - make two each).
 * ERR_CONFIG says which part is not understood, and why.
 */
MUST_CHECK struct semver_range *semver_range_new(const char *text, struct err *err);
void semver_range_free(struct semver_range *range);

/* Whether a tag is a version within; one that is no version never is. */
bool semver_range_has(const struct semver_range *range, const char *tag);

#endif
