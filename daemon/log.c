/* The log; see log.h. */
#include "log.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { LINE_MAX_BYTES = 256 * 1024 }; /* a head of 32 KiB, each byte escaped, and the rest */

static enum log_level least_level = LOG_INFO;

void log_set_level(enum log_level least)
{
	least_level = least;
}

static bool is_bare(const char *value)
{
	static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789-._/@^+";

	return !value[strspn(value, bare)];
}

/* Length of the well-formed UTF-8 sequence at text (RFC 3629), 0 when there is none. */
static size_t utf8_length(const unsigned char *text)
{
	size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;

	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return length;
}

static int quote_ascii(struct buf *line, unsigned char c, struct err *err)
{
	static const char named[] = "\a\b\f\n\r\t\v\"\\";
	static const char letters[] = "abfnrtv\"\\";
	const char *at = c ? strchr(named, c) : NULL;

	if (at)
		return buf_addf(line, err, "\\%c", letters[at - named]);
	if (c < 0x20 || c == 0x7f)
		return buf_addf(line, err, "\\x%02x", c);
	return buf_add(line, &c, 1, err);
}

int log_quote(struct buf *line, const char *value, struct err *err)
{
	const unsigned char *at = (const unsigned char *)value;

	if (is_bare(value))
		return buf_add(line, value, strlen(value), err);
	if (buf_add(line, "\"", 1, err))
		return -1;
	while (*at) {
		size_t length = *at < 0x80 ? 1 : utf8_length(at);
		int failed;

		if (*at < 0x80)
			failed = quote_ascii(line, *at, err);
		else if (!length) /* %q shows a byte that is no UTF-8 so */
			failed = buf_addf(line, err, "\\x%02x", *at);
		else if (length == 2 && at[0] == 0xc2 && at[1] < 0xa0) /* C1 controls */
			failed = buf_addf(line, err, "\\u%04x", at[1]);
		else
			failed = buf_add(line, at, length, err);
		if (failed)
			return -1;
		at += length ? length : 1;
	}
	return buf_add(line, "\"", 1, err);
}

/* Add the field with the smallest key that is greater than `after`; returns it, or NULL. */
static const struct log_field *next_field(const struct log_field *fields, const char *after)
{
	const struct log_field *best = NULL;

	for (; fields && fields->key; fields++)
		if ((!after || strcmp(fields->key, after) > 0) &&
		    (!best || strcmp(fields->key, best->key) < 0))
			best = fields;
	return best;
}

static int format_line(struct buf *line, enum log_level level, const char *msg,
                       const struct log_field *fields, struct err *err)
{
	static const char *const names[] = { "debug", "info", "warning", "error" };
	const struct log_field *field = NULL;
	struct timespec now;
	struct tm utc;
	char stamp[32];

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &utc);
	(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &utc);
	if (buf_addf(line, err, "time=\"%s\" level=%s msg=", stamp, names[level]) ||
	    log_quote(line, msg, err))
		return -1;
	while ((field = next_field(fields, field ? field->key : NULL)))
		if (buf_addf(line, err, " %s=", field->key) || log_quote(line, field->value, err))
			return -1;
	return buf_add(line, "\n", 1, err);
}

void log_line(enum log_level level, const char *msg, const struct log_field *fields)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT(LINE_MAX_BYTES);
	struct err err;
	ssize_t written;

	if (level < least_level)
		return;
	if (format_line(&line, level, msg, fields, &err)) {
		buf_clear(&line);
		if (buf_addf(&line, &err, "level=error msg=\"a log line could not be made\"\n"))
			return;
	}
	/* Nobody is left to be told when standard error is gone. */
	written = write(STDERR_FILENO, line.data, line.size);
	(void)written;
}
