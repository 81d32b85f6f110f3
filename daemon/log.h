/*
 * The log: one line an event on standard error, in the text format of logrus
 * (github.com/sirupsen/logrus, text_formatter.go): time, level, msg, then the
 * fields sorted by key. A value is bare when it has only A-Za-z0-9-._/@^+, else
 * quoted as Go's %q does. Any thread may log; a line is one write.
 *
 *	log_line(LOG_INFO, "Persisted", (struct log_field[]){ { "tag", tag }, { NULL } });
 *
 * Text from outside goes into a field, never into a format.
 */
#ifndef SPECMAN_LOG_H
#define SPECMAN_LOG_H

#include <stdint.h>

#include "base/buf.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

enum { LOG_LEVELS = LOG_ERROR + 1 };

struct log_field {
	const char *key; /* NULL ends the list */
	const char *value;
};

/* Lines below this level are dropped; LOG_INFO until it is set. Before other threads start. */
void log_set_level(enum log_level least);

/* fields may be NULL. */
void log_line(enum log_level level, const char *msg, const struct log_field *fields);

/* How many lines of a level were written. Any thread. */
uint64_t log_lines_written(enum log_level level);
const char *log_level_name(enum log_level level);

/* Append value as the formatter writes it, quoted when it must be. */
MUST_CHECK int log_quote(struct buf *line, const char *value, struct err *err);

#endif
