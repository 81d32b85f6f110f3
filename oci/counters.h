/* Counting what is asked of registries; see struct oci_counters. All take NULL. */
#ifndef SPECMAN_OCI_COUNTERS_H
#define SPECMAN_OCI_COUNTERS_H

#include "oci/exchange.h"
#include "oci/oci.h"

/* A request that is over; status 0: there was no whole answer. */
void counters_answer(struct oci_counters *counters, enum exchange_method method, long status);

/* Bytes of a body, or of a layout's files, that came. */
void counters_received(struct oci_counters *counters, size_t bytes);

void counters_notice(struct oci_counters *counters, enum oci_notice_kind kind);

#endif
