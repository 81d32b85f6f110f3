/* Numbers with units, as Kubernetes writes them in flags. */
#ifndef SPECMAN_UNIT_H
#define SPECMAN_UNIT_H

#include <stdint.h>

#include "base/err.h"

/*
 * The decimal number that text begins with, and where it ends. -1 unless it is
 * within least and most.
 */
MUST_CHECK int unit_parse_count(const char *text, int64_t least, int64_t most, const char **out_end,
                                int64_t *out_count);

/*
 * Milliseconds of 250ms, 30s, 5m, 12h, also together: 1h30m. -1 for what is none, for 0,
 * and for more than 8760h, a year.
 */
MUST_CHECK int unit_parse_duration(const char *text, int64_t *out_ms);

/*
 * Bytes of 4096, 512Ki, 64Mi, 10Gi, 1Ti, or with k, M, G, T in powers of ten: whole
 * numbers of Kubernetes' quantities. -1 for what is none, or is over 2^60.
 */
MUST_CHECK int unit_parse_size(const char *text, int64_t *out_bytes);

#endif
