/* Errors as values; see err.h. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Those of ASCII, and the second set as UTF-8 has it: U+009B is as good as an escape. */
static void tame(char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];

		if (c < 0x20 || c == 0x7f)
			*text = '?';
		if (c == 0xc2 && next >= 0x80 && next <= 0x9f) {
			*text++ = '?';
			*text = '?';
		}
	}
}

void err_fill(struct err *err, enum err_kind kind, const char *format, ...)
{
	va_list args;

	err->kind = kind;
	err->sys = 0;
	err->cause = 0;
	va_start(args, format);
	(void)vsnprintf(err->msg, sizeof(err->msg), format, args);
	va_end(args);
	tame(err->msg);
}

void err_fill_sys(struct err *err, int sys, const char *format, ...)
{
	char reason[128];
	va_list args;
	size_t used;

	err->kind = sys == ENOSPC || sys == EDQUOT ? ERR_NO_SPACE : ERR_IO;
	err->sys = sys;
	err->cause = 0;
	va_start(args, format);
	(void)vsnprintf(err->msg, sizeof(err->msg), format, args);
	va_end(args);
	used = strlen(err->msg);
	(void)snprintf(err->msg + used, sizeof(err->msg) - used, ": %s",
	               strerror_r(sys, reason, sizeof(reason)));
	tame(err->msg);
}

void err_prepend(struct err *err, const char *format, ...)
{
	char context[sizeof(err->msg)];
	char cause[sizeof(err->msg)];
	va_list args;
	size_t used;

	memcpy(cause, err->msg, sizeof(cause));
	va_start(args, format);
	(void)vsnprintf(context, sizeof(context), format, args);
	va_end(args);
	(void)snprintf(err->msg, sizeof(err->msg), "%s", context);
	used = strlen(err->msg);
	(void)snprintf(err->msg + used, sizeof(err->msg) - used, ": %s", cause);
	tame(err->msg);
}

const char *err_kind_name(enum err_kind kind)
{
	static const char *const names[] = {
		[ERR_NONE] = "none",           [ERR_IO] = "io",
		[ERR_NETWORK] = "network",     [ERR_AUTH] = "auth",
		[ERR_NOT_FOUND] = "not found", [ERR_DIGEST] = "digest",
		[ERR_FORMAT] = "format",       [ERR_LIMIT] = "limit",
		[ERR_NO_SPACE] = "no space",   [ERR_CONFIG] = "config",
		[ERR_ROLLBACK] = "rollback",   [ERR_CANCELLED] = "cancelled",
		[ERR_LOST] = "lost",           [ERR_UNSIGNED] = "unsigned",
	};

	return names[kind];
}
