/*
 * From contents to objects, on all CPUs: the thread that reads an archive hands
 * contents over, workers hash them, make their twins and write both. What waits
 * is bounded. Contents are numbered in the order in which they came.
 */
#ifndef SPECMAN_STORAGE_INGEST_H
#define SPECMAN_STORAGE_INGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "layout.h"
#include "twin.h"

/* Contents up to this size may be handed over; what is larger is written as it is read. */
enum { INGEST_BYTES_MAX = TWIN_BYTES_MAX };

/* A content that was written. */
struct ingested {
	struct digest content;
	uint64_t size;
	struct digest twin;
	uint64_t twin_size; /* 0: there is none */
};

struct ingest;

/* Starts the workers. layout must outlive it. */
MUST_CHECK struct ingest *ingest_new(const struct layout *layout, struct err *err);

/* Ends the workers; what they have not begun is dropped. NULL is fine. */
void ingest_free(struct ingest *ingest);

/*
 * Hand over a heap block (NULL when empty), which is freed in any case. Waits
 * while too much is under way. -1 also when an earlier content failed.
 */
MUST_CHECK int ingest_take(struct ingest *ingest, void *bytes, size_t size, uint32_t *out_number,
                           struct err *err);

/* Number a content that the caller has written, one without a twin. */
MUST_CHECK int ingest_add(struct ingest *ingest, const struct digest *content, uint64_t size,
                          uint32_t *out_number, struct err *err);

/* Wait until all is written, or the first failure. */
MUST_CHECK int ingest_finish(struct ingest *ingest, struct err *err);

/* What became of a number, after ingest_finish. */
void ingest_result(const struct ingest *ingest, uint32_t number, struct ingested *out_ingested);

#endif
