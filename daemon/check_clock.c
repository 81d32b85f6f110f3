/*
 * A clock that is far off breaks certificates and signatures. Without asking the
 * network only what is impossible can be told: a time before this program was
 * written, or files from the future.
 */
#include "check_steps.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "advice.h"

enum {
	FIRST_RELEASE = 1733011200, /* 2024-12-01: nobody ran this before */
	TOLERANCE_S = 10 * 60,
};

static const char *format_time(time_t seconds, char text[static 32])
{
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		(void)snprintf(text, 32, "%lld", (long long)seconds);
	return text;
}

void check_clock(struct check *check)
{
	static const char *const names[] = { "", "/releases", "/objects", "/tmp", "/tls" };
	time_t now = time(NULL), newest = 0;
	char now_text[32], newest_text[32], path[PATH_MAX];
	struct stat st;

	(void)format_time(now, now_text);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", check->config->data_dir, names[i]);
		if (!stat(path, &st) && st.st_mtim.tv_sec > newest)
			newest = st.st_mtim.tv_sec;
	}
	if (now < FIRST_RELEASE) {
		struct err err;

		(void)err_set(&err, ERR_CONFIG, "it is said to be %s, which is long ago", now_text);
		(void)err_cause(&err, ADVICE_CLOCK);
		report_failure(check, "clock", &err);
	} else if (newest > now + TOLERANCE_S) {
		report_warning(check, "clock", ADVICE_CLOCK,
		               "it is said to be %s, but the data directory was changed at %s: the "
		               "clock is behind, or was ahead then",
		               now_text, format_time(newest, newest_text));
	} else {
		report_ok(check, "clock", "%s", now_text);
	}
}
