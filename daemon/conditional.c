/* Conditional and range requests; see conditional.h. */
#include "conditional.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DAY_S = 24 * 60 * 60, ERA_DAYS = 146097 };

#define FIRST_S (-30610224000) /* of the year 1000 */
#define LAST_S  253402300799   /* of the year 9999 */

static char *add_number(char *at, unsigned number, unsigned digits)
{
	for (unsigned i = digits; i-- > 0; number /= 10)
		at[i] = (char)('0' + number % 10);
	return at + digits;
}

static char *add_text(char *at, const char *text, size_t length)
{
	memcpy(at, text, length);
	return at + length;
}

/* At each answer, so without gmtime_r and strftime: they take a lock that all threads share. */
char *http_date(int64_t time, char text[static HTTP_DATE_SIZE])
{
	static const char days[] = "WedThuFriSatSunMonTue";
	static const char months[] = "MarAprMayJunJulAugSepOctNovDecJanFeb";
	/* Years that begin in March, from that of the year 0 on: a leap day is a year's last. */
	const uint64_t since =
		(uint64_t)((time < FIRST_S || time > LAST_S ? 0 : time) + (int64_t)719468 * DAY_S);
	const unsigned day = (unsigned)(since / DAY_S), second = (unsigned)(since % DAY_S);
	const unsigned of_era = day % ERA_DAYS;
	const unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / (ERA_DAYS - 1)) /
	                      365;
	const unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
	const unsigned month = (5 * of_year + 2) / 153;
	char *at = add_text(text, days + (size_t)3 * (day % 7), 3);

	at = add_number(add_text(at, ", ", 2), of_year - (153 * month + 2) / 5 + 1, 2);
	at = add_text(add_text(at, " ", 1), months + (size_t)3 * month, 3);
	at = add_number(add_text(at, " ", 1), day / ERA_DAYS * 400 + year + (month >= 10), 4);
	at = add_number(add_text(at, " ", 1), second / 3600, 2);
	at = add_number(add_text(at, ":", 1), second / 60 % 60, 2);
	at = add_number(add_text(at, ":", 1), second % 60, 2);
	(void)add_text(at, " GMT", sizeof(" GMT"));
	return text;
}

/* Whether nothing but blanks is left. */
static bool is_end(const char *text)
{
	return !text[strspn(text, " \t")];
}

bool http_date_parse(const char *text, int64_t *out_time)
{
	static const char *const forms[] = {
		"%a, %d %b %Y %H:%M:%S GMT", /* IMF-fixdate */
		"%A, %d-%b-%y %H:%M:%S GMT", /* RFC 850 */
		"%a %b %e %H:%M:%S %Y",      /* asctime */
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm utc = { .tm_mday = 1 };
		const char *end = strptime(text, forms[i], &utc);

		if (end && is_end(end)) {
			*out_time = (int64_t)timegm(&utc);
			return true;
		}
	}
	return false;
}

/* One line of entity tags. Weak comparison takes W/"x" for "x" (section 8.8.3.2). */
static bool line_has(const char *line, const char *etag, bool weak)
{
	size_t length = strlen(etag);

	while (*line) {
		bool is_weak = false;
		const char *end;

		line += strspn(line, ", \t");
		if (*line == '*')
			return true;
		if (!strncmp(line, "W/", 2)) {
			is_weak = true;
			line += 2;
		}
		if (*line != '"')
			return false; /* malformed, or the end */
		end = strchr(line + 1, '"');
		if (!end)
			return false;
		if ((weak || !is_weak) && (size_t)(end + 1 - line) == length &&
		    !strncmp(line, etag, length))
			return true;
		line = end + 1;
	}
	return false;
}

static bool list_has(const struct head_list *list, const char *etag, bool weak)
{
	for (size_t i = 0; i < list->count; i++)
		if (line_has(list->lines[i], etag, weak))
			return true;
	return false;
}

/*
 * If-Range (section 13.1.5): strong comparison; a date must be exactly Last-Modified, and not
 * that of files that were packed without times, which tells no two contents apart.
 */
static bool range_applies(const char *if_range, const char *etag, int64_t mtime)
{
	int64_t date;

	if (!if_range)
		return true;
	if (*if_range == '"' || !strncmp(if_range, "W/", 2))
		return !strncmp(if_range, etag, strlen(etag)) && is_end(if_range + strlen(etag));
	return mtime && http_date_parse(if_range, &date) && date == mtime;
}

static enum verdict judge_range(const struct head *request, const char *etag, int64_t mtime,
                                uint64_t size, struct parts *parts)
{
	struct parts asked;

	if (!request->range || !range_applies(request->if_range, etag, mtime))
		return VERDICT_WHOLE;
	switch (range_parse(request->range, size, &asked)) {
	case RANGE_NONE:
		return VERDICT_UNSATISFIABLE;
	case RANGE_PARTS:
		*parts = asked;
		return VERDICT_PARTS;
	default:
		return VERDICT_WHOLE;
	}
}

/*
 * If-Modified-Since (section 13.1.3). What is served may change to files whose times are earlier: a
 * tag moves back, a release that lies on top goes. So "not later" proves nothing, and the date has
 * to be the file's, as nginx wants it by default. 0 is what is packed without times.
 */
static bool is_known(int64_t mtime, int64_t date)
{
	return mtime && mtime == date;
}

enum verdict conditional_judge(const struct head *request, bool is_head, const char *etag,
                               int64_t mtime, uint64_t size, struct parts *out_parts)
{
	int64_t date;

	out_parts->at[0] = (struct part){ 0, size };
	out_parts->count = 1;
	if (request->if_match.count) {
		if (!list_has(&request->if_match, etag, false))
			return VERDICT_FAILED;
	} else if (request->if_unmodified_since &&
	           http_date_parse(request->if_unmodified_since, &date) && mtime > date) {
		return VERDICT_FAILED;
	}
	if (request->if_none_match.count) {
		if (list_has(&request->if_none_match, etag, true))
			return VERDICT_NOT_MODIFIED;
	} else if (request->if_modified_since &&
	           http_date_parse(request->if_modified_since, &date) && is_known(mtime, date)) {
		return VERDICT_NOT_MODIFIED;
	}
	return is_head ? VERDICT_WHOLE : judge_range(request, etag, mtime, size, out_parts);
}
