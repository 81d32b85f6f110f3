/* How a check reports; see check_report.h. */
#include "check_report.h"

#include <stdarg.h>
#include <stdio.h>

#include "advice.h"

enum { LINE_SIZE = 8192 };

/* Names and values come from outside, and must not look like lines of ours. */
static const char *tame(char *text)
{
	for (char *at = text; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
	return text;
}

static void print(const char *verdict, const char *step, const char *format, va_list args)
	__attribute__((__format__(__printf__, 3, 0)));

static void print(const char *verdict, const char *step, const char *format, va_list args)
{
	char text[LINE_SIZE];

	(void)vsnprintf(text, sizeof(text), format, args);
	(void)printf("%-4s %s: %s\n", verdict, step, tame(text));
	/* Whoever watches sees each step when it ends. */
	(void)fflush(stdout);
}

static void print_advice(const struct advice *advice)
{
	if (advice)
		(void)printf("  cause: %s\n  do: %s\n", advice->name, advice->text);
	(void)fflush(stdout);
}

void report_ok(struct check *check, const char *step, const char *format, ...)
{
	va_list args;

	check->ok++;
	va_start(args, format);
	print("ok", step, format, args);
	va_end(args);
}

void report_detail(const char *format, ...)
{
	char text[LINE_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)printf("  %s\n", tame(text));
}

void report_skip(struct check *check, const char *step, const char *format, ...)
{
	va_list args;

	check->skipped++;
	va_start(args, format);
	print("skip", step, format, args);
	va_end(args);
}

void report_warning(struct check *check, const char *step, int cause, const char *format, ...)
{
	va_list args;

	check->warnings++;
	va_start(args, format);
	print("warn", step, format, args);
	va_end(args);
	print_advice(advice_find(cause));
}

void report_failure(struct check *check, const char *step, const struct err *err)
{
	if (err->kind == ERR_CANCELLED) {
		report_skip(check, step, "interrupted");
		return;
	}
	check->failed++;
	(void)printf("FAIL %s: %s\n", step, err->msg);
	print_advice(advice_find(advice_cause_of(err)));
}

void report_sum(const struct check *check)
{
	(void)printf("%u ok, %u failed, %u warnings, %u skipped\n", check->ok, check->failed,
	             check->warnings, check->skipped);
}
