/* SIGINT and SIGTERM for commands that can be stopped between two steps. */
#ifndef SPECMAN_INTERRUPT_H
#define SPECMAN_INTERRUPT_H

#include "base/cancel.h"

/*
 * From now on both raise cancel, which is to live until interrupt_end; SIGPIPE is
 * ignored. As process 1 of a container there would be no default action, either.
 */
void interrupt_begin(struct cancel *cancel);

/* Back to the default actions. */
void interrupt_end(void);

#endif
