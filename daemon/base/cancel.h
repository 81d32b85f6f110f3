/*
 * A request to stop that any thread can raise and any loop can wait for: a
 * flag for code that computes and a descriptor for code that polls.
 */
#ifndef SPECMAN_BASE_CANCEL_H
#define SPECMAN_BASE_CANCEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct cancel;

MUST_CHECK struct cancel *cancel_new(struct err *err);
void cancel_free(struct cancel *cancel);

/* Raise it, for good. Safe from any thread and from a signal handler. */
void cancel_raise(struct cancel *cancel);

bool cancel_is_raised(const struct cancel *cancel);

/*
 * The same for what is under way alone: as raised to all who look, until the loop
 * that began it calls cancel_resume. That does not take a cancel_raise back.
 */
void cancel_interrupt(struct cancel *cancel);
void cancel_resume(struct cancel *cancel);

/* Whether it is raised for good, rather than interrupted. */
bool cancel_is_final(const struct cancel *cancel);

/*
 * When cancel_is_raised or cancel_check was last called, on the monotonic clock: whoever
 * is to heed it turns. At first the time of cancel_new. Any thread.
 */
int64_t cancel_heeded_ms(const struct cancel *cancel);

/* Readable once it is raised; owned by cancel. */
int cancel_fd(const struct cancel *cancel);

/* 0, or -1 with ERR_CANCELLED once it is raised. */
MUST_CHECK int cancel_check(const struct cancel *cancel, struct err *err);

#endif
