/* Prints log lines for log_test.py; the form of its input is that of logrus/main.go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "log.h"

static char *next_word(char **rest)
{
	char *word = strtok_r(NULL, " \n", rest);

	if (!word) {
		(void)fprintf(stderr, "log_driver: a word is missing\n");
		exit(2);
	}
	return word;
}

/* What stands behind the x in hexadecimal, in its place. */
static const char *decode(char *word)
{
	char *out = word;

	for (const char *at = word + 1; *at; at += 2)
		*out++ = (char)strtol((char[]){ at[0], at[1], '\0' }, NULL, 16);
	*out = '\0';
	return word;
}

static int print_record(char *record)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT(16 << 20);
	struct log_field fields[LOG_FIELDS_MAX + 1] = { { NULL, NULL } };
	char *rest, *word = strtok_r(record, " \n", &rest);
	enum log_format format = word && !strcmp(word, "json") ? LOG_JSON : LOG_TEXT;
	enum log_level level = (enum log_level)atoi(next_word(&rest));
	time_t at = (time_t)atoll(next_word(&rest));
	const char *msg = decode(next_word(&rest));
	struct err err;

	for (size_t i = 0; i < LOG_FIELDS_MAX && (word = strtok_r(NULL, " \n", &rest)); i++) {
		fields[i].key = decode(word);
		fields[i].value = decode(next_word(&rest));
	}
	if (log_format_line(&line, format, at, level, msg, fields, &err)) {
		(void)fprintf(stderr, "log_driver: %s\n", err.msg);
		return -1;
	}
	return fwrite(line.data, 1, line.size, stdout) == line.size ? 0 : -1;
}

int main(void)
{
	CLEANUP(cleanup_free) char *record = NULL;
	size_t size = 0;

	while (getline(&record, &size, stdin) >= 0)
		if (print_record(record))
			return EXIT_FAILURE;
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
