/*
 * The log: one line an event on standard error, as the formatters of logrus
 * (github.com/sirupsen/logrus 1.9, text_formatter.go and json_formatter.go) make
 * it. Any thread may log; lines come out whole, one
 * after the other.
 *
 * Text: time, level, msg, then the fields sorted by key. A value is bare when it
 * has only A-Za-z0-9-._/@^+, or nothing at all, else quoted as Go's %q does. A
 * message that is empty is left out.
 *
 * JSON: an object of strings, all keys sorted, as Go's encoding/json escapes: <, >
 * and & too, U+2028 and U+2029, and bytes that are no UTF-8 become \ufffd.
 *
 * A field by the name of time, level, msg or logrus_error has "fields." before it.
 *
 *	log_line(LOG_INFO, "Persisted", (struct log_field[]){ { "tag", tag }, { NULL } });
 *
 * Text from outside goes into a field, never into a format.
 */
#ifndef SPECMAN_LOG_H
#define SPECMAN_LOG_H

#include <stdint.h>
#include <time.h>

#include "base/buf.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

enum log_format { LOG_TEXT, LOG_JSON };

enum { LOG_LEVELS = LOG_ERROR + 1 };

enum { LOG_FIELDS_MAX = 24 }; /* more are left out */

struct log_field {
	const char *key; /* NULL ends the list */
	const char *value;
};

/* Lines below this level are dropped; LOG_INFO until it is set. Before other threads start. */
void log_set_level(enum log_level least);

/* LOG_TEXT until it is set. Before other threads start. */
void log_set_format(enum log_format format);

/* Called before each line that is written: a command takes its progress bar away. NULL: nothing is.
 * For programs of which one thread logs. */
void log_set_before(void (*before)(void *ctx), void *ctx);

/* fields may be NULL. */
void log_line(enum log_level level, const char *msg, const struct log_field *fields);

/* How many lines of a level were written. Any thread. */
uint64_t log_lines_written(enum log_level level);
const char *log_level_name(enum log_level level);

/* Append the line that log_line writes, with its line end, at this time. */
MUST_CHECK int log_format_line(struct buf *line, enum log_format format, time_t at,
                               enum log_level level, const char *msg,
                               const struct log_field *fields, struct err *err);

#endif
