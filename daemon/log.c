/* The log; see log.h. */
#include "log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "unicode.h"

enum {
	LINE_MAX_BYTES = 256 * 1024, /* a head of 32 KiB, each byte escaped, and the rest */
	KEYS_MAX = LOG_FIELDS_MAX + 3,
};

static const char *const level_names[LOG_LEVELS] = { "debug", "info", "warning", "error" };
static enum log_level least_level = LOG_INFO;
static atomic_uint_fast64_t written_lines[LOG_LEVELS];
static enum log_format line_format = LOG_TEXT;
static void (*before_line)(void *ctx);
static void *before_line_ctx;
/* A pipe takes at once no more than PIPE_BUF bytes of a line that nobody else's comes between. */
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;

void log_set_level(enum log_level least)
{
	least_level = least;
}

void log_set_format(enum log_format format)
{
	line_format = format;
}

void log_set_before(void (*before)(void *ctx), void *ctx)
{
	before_line = before;
	before_line_ctx = ctx;
}

uint64_t log_lines_written(enum log_level level)
{
	return atomic_load_explicit(&written_lines[level], memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

/* ---- values ---- */

static bool is_bare(const char *value)
{
	static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789-._/@^+";

	return !value[strspn(value, bare)];
}

/* Go's %q. */
static int quote_character(struct buf *line, const char *text, size_t size, uint32_t character,
                           struct err *err)
{
	static const char named[] = "\a\b\f\n\r\t\v\"\\";
	static const char letters[] = "abfnrtv\"\\";
	const char *at = size == 1 ? strchr(named, *text) : NULL;

	if (at)
		return buf_addf(line, err, "\\%c", letters[at - named]);
	if (!size)
		return buf_addf(line, err, "\\x%02x", (unsigned char)*text);
	if (unicode_is_print(character))
		return buf_add(line, text, size, err);
	if (size == 1)
		return buf_addf(line, err, "\\x%02x", character);
	return buf_addf(line, err, character < 0x10000 ? "\\u%04x" : "\\U%08x", character);
}

/* Go's encoding/json, with its escapes for HTML. */
static int escape_character(struct buf *line, const char *text, size_t size, uint32_t character,
                            struct err *err)
{
	static const char named[] = "\n\r\t\"\\";
	static const char letters[] = "nrt\"\\";
	const char *at = size == 1 ? strchr(named, *text) : NULL;

	if (at)
		return buf_addf(line, err, "\\%c", letters[at - named]);
	if (!size)
		return buf_addf(line, err, "\\ufffd");
	if (character < 0x20 || (size == 1 && strchr("<>&", *text)) || character == 0x2028 ||
	    character == 0x2029)
		return buf_addf(line, err, "\\u%04x", character);
	return buf_add(line, text, size, err);
}

/* A value in quotes. */
static int add_quoted(struct buf *line, enum log_format format, const char *value, struct err *err)
{
	if (buf_add(line, "\"", 1, err))
		return -1;
	while (*value) {
		uint32_t character = 0;
		size_t size = unicode_decode(value, &character);

		if ((format == LOG_JSON ? escape_character : quote_character)(line, value, size,
		                                                              character, err))
			return -1;
		value += size ? size : 1;
	}
	return buf_add(line, "\"", 1, err);
}

/* ---- lines ---- */

/* A key as it is written: one that stands for something else has another name. */
struct entry {
	const char *prefix, *key, *value;
};

static int compare_entries(const struct entry *a, const struct entry *b)
{
	char names[2][128];

	(void)snprintf(names[0], sizeof(names[0]), "%s%s", a->prefix, a->key);
	(void)snprintf(names[1], sizeof(names[1]), "%s%s", b->prefix, b->key);
	return strcmp(names[0], names[1]);
}

static bool is_taken(const char *key)
{
	static const char *const taken[] = { "time", "level", "msg", "logrus_error" };

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (!strcmp(taken[i], key))
			return true;
	return false;
}

/* Put an entry in its place among those that are sorted; there is room. */
static void insert(struct entry *entries, size_t count, struct entry entry)
{
	for (; count && compare_entries(&entries[count - 1], &entry) > 0; count--)
		entries[count] = entries[count - 1];
	entries[count] = entry;
}

static size_t sort_fields(struct entry *entries, const struct log_field *fields)
{
	size_t count = 0;

	for (; fields && fields->key && count < LOG_FIELDS_MAX; fields++, count++)
		insert(entries, count,
		       (struct entry){ is_taken(fields->key) ? "fields." : "", fields->key,
		                       fields->value });
	return count;
}

static int add_text(struct buf *line, const struct entry *entry, struct err *err)
{
	if (buf_addf(line, err, "%s%s%s=", line->size ? " " : "", entry->prefix, entry->key))
		return -1;
	return is_bare(entry->value) ? buf_add(line, entry->value, strlen(entry->value), err)
	                             : add_quoted(line, LOG_TEXT, entry->value, err);
}

static int add_json(struct buf *line, const struct entry *entry, struct err *err)
{
	if (buf_addf(line, err, "%c\"%s%s\":", line->size ? ',' : '{', entry->prefix, entry->key))
		return -1;
	return add_quoted(line, LOG_JSON, entry->value, err);
}

int log_format_line(struct buf *line, enum log_format format, time_t at, enum log_level level,
                    const char *msg, const struct log_field *fields, struct err *err)
{
	char stamp[32] = "";
	const struct entry first[] = { { "", "time", stamp },
		                       { "", "level", level_names[level] },
		                       { "", "msg", msg } };
	struct entry entries[KEYS_MAX];
	size_t count = sort_fields(entries, fields);
	struct tm utc;

	if (gmtime_r(&at, &utc))
		(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &utc);
	for (size_t i = 0; i < 3; i++)
		if (format == LOG_JSON)
			insert(entries, count++, first[i]);
		else if ((i < 2 || *msg) && add_text(line, &first[i], err))
			return -1;
	for (size_t i = 0; i < count; i++)
		if (format == LOG_JSON ? add_json(line, &entries[i], err)
		                       : add_text(line, &entries[i], err))
			return -1;
	return buf_add(line, format == LOG_JSON ? "}\n" : "\n", format == LOG_JSON ? 2 : 1, err);
}

void log_line(enum log_level level, const char *msg, const struct log_field *fields)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT(LINE_MAX_BYTES);
	time_t now = time(NULL);
	struct err err;

	if (level < least_level)
		return;
	if (log_format_line(&line, line_format, now, level, msg, fields, &err)) {
		buf_clear(&line);
		if (log_format_line(
			    &line, line_format, now, LOG_ERROR, "A log line could not be made",
			    (struct log_field[]){ { "error", err.msg }, { NULL, NULL } }, &err))
			return;
	}
	(void)atomic_fetch_add_explicit(&written_lines[level], 1, memory_order_relaxed);
	(void)pthread_mutex_lock(&writing);
	if (before_line)
		before_line(before_line_ctx);
	/* Nobody is left to be told when standard error is gone. */
	if (io_write_all(STDERR_FILENO, line.data, line.size, "the log", &err))
		buf_clear(&line);
	(void)pthread_mutex_unlock(&writing);
}
