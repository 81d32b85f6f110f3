/*
 * Work that would make a worker wait, done one piece after the other by a
 * thread of its own. What waits is bounded: beyond that the asker is told no.
 */
#ifndef SPECMAN_OFFLOAD_H
#define SPECMAN_OFFLOAD_H

#include <stdbool.h>

#include "base/err.h"

/* Part of the asker's own struct; untouched after its work has begun. */
struct offload_job {
	void (*work)(struct offload_job *job); /* on the thread; always called once */
	struct offload_job *next;
};

struct offload;

/*
 * Start the thread. tick, unless NULL, is called on it before each piece of work
 * and at least once a second; `most` jobs may wait.
 */
MUST_CHECK struct offload *offload_new(unsigned most, void (*tick)(void *ctx), void *ctx,
                                       struct err *err);

/* Whether the job was taken. Any thread. */
bool offload_add(struct offload *offload, struct offload_job *job);

/* Do all that waits and end the thread. Nothing may be added any more. NULL is fine. */
void offload_free(struct offload *offload);

#endif
