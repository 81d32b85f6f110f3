/* Conditional and range requests; see conditional.h. */
#include "conditional.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

char *http_date(int64_t seconds, char text[static HTTP_DATE_SIZE])
{
	time_t time = (time_t)seconds;
	struct tm utc;

	if (!gmtime_r(&time, &utc) || utc.tm_year < -1900 || utc.tm_year > 8099) {
		time = 0;
		(void)gmtime_r(&time, &utc);
	}
	(void)strftime(text, HTTP_DATE_SIZE, "%a, %d %b %Y %H:%M:%S GMT", &utc);
	return text;
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

		if (end && !*end) {
			*out_time = (int64_t)timegm(&utc);
			return true;
		}
	}
	return false;
}

/* Whether a list of entity tags names etag. Weak comparison takes W/"x" for "x" (section 8.8.3.2).
 */
static bool list_has(const char *list, const char *etag, bool weak)
{
	size_t length = strlen(etag);

	while (*list) {
		bool is_weak = false;
		const char *end;

		list += strspn(list, ", \t");
		if (*list == '*')
			return true;
		if (!strncmp(list, "W/", 2)) {
			is_weak = true;
			list += 2;
		}
		if (*list != '"')
			return false; /* malformed, or the end */
		end = strchr(list + 1, '"');
		if (!end)
			return false;
		if ((weak || !is_weak) && (size_t)(end + 1 - list) == length &&
		    !strncmp(list, etag, length))
			return true;
		list = end + 1;
	}
	return false;
}

static bool parse_number(const char **at, uint64_t *out_number)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*out_number = strtoull(*at, &end, 10);
	if (errno)
		*out_number = UINT64_MAX;
	*at = end;
	return true;
}

/* bytes=FIRST-LAST, bytes=FIRST-, bytes=-LENGTH (section 14.1.2). */
static enum verdict parse_range(const char *range, uint64_t size, struct part *part)
{
	uint64_t first, last = UINT64_MAX;

	if (strncmp(range, "bytes=", 6) != 0)
		return VERDICT_WHOLE;
	range += 6;
	if (*range == '-') {
		range++;
		if (!parse_number(&range, &last) || *range)
			return VERDICT_WHOLE;
		if (!last || !size)
			return VERDICT_UNSATISFIABLE;
		part->length = last < size ? last : size;
		part->first = size - part->length;
		return VERDICT_PART;
	}
	if (!parse_number(&range, &first) || *range++ != '-')
		return VERDICT_WHOLE;
	if (*range && (!parse_number(&range, &last) || *range || last < first))
		return VERDICT_WHOLE;
	if (first >= size)
		return VERDICT_UNSATISFIABLE;
	part->first = first;
	part->length = (last < size ? last + 1 : size) - first;
	return VERDICT_PART;
}

/* If-Range (section 13.1.5): strong comparison; a date must be exactly Last-Modified. */
static bool range_applies(const char *if_range, const char *etag, int64_t mtime)
{
	int64_t date;

	if (!if_range)
		return true;
	if (*if_range == '"' || !strncmp(if_range, "W/", 2))
		return !strcmp(if_range, etag);
	return http_date_parse(if_range, &date) && date == mtime;
}

enum verdict conditional_judge(const struct preconditions *request, const char *etag, int64_t mtime,
                               uint64_t size, struct part *out_part)
{
	int64_t date;

	*out_part = (struct part){ 0, size };
	if (request->if_match) {
		if (!list_has(request->if_match, etag, false))
			return VERDICT_FAILED;
	} else if (request->if_unmodified_since &&
	           http_date_parse(request->if_unmodified_since, &date) && mtime > date) {
		return VERDICT_FAILED;
	}
	if (request->if_none_match) {
		if (list_has(request->if_none_match, etag, true))
			return VERDICT_NOT_MODIFIED;
	} else if (mtime && request->if_modified_since && /* 0: packed without times */
	           http_date_parse(request->if_modified_since, &date) && mtime <= date) {
		return VERDICT_NOT_MODIFIED;
	}
	if (request->range && range_applies(request->if_range, etag, mtime))
		return parse_range(request->range, size, out_part);
	return VERDICT_WHOLE;
}
