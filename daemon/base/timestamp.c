/* RFC 3339; see timestamp.h. */
#include "base/timestamp.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t timestamp_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* `count` digits and what stands behind them, unless that is NUL. */
static int take(const char **at, int count, char behind, int *out_value)
{
	int value = 0;

	for (; count; count--, (*at)++) {
		if (!isdigit((unsigned char)**at))
			return -1;
		value = 10 * value + (**at - '0');
	}
	if (behind && *(*at)++ != behind)
		return -1;
	*out_value = value;
	return 0;
}

/* ".123456" as milliseconds; 0 where there is none. */
static int take_fraction(const char **at, int *out_ms)
{
	int ms = 0, weight = 100;

	if (**at == '.') {
		if (!isdigit((unsigned char)*++*at))
			return -1;
		for (; isdigit((unsigned char)**at); (*at)++, weight /= 10)
			ms += weight * (**at - '0');
	}
	*out_ms = ms;
	return 0;
}

/* "Z", "+02:00" or "-02:00", up to the end of the text, as minutes. */
static int take_offset(const char *at, int *out_minutes)
{
	int hours = 0, minutes = 0;
	bool is_west = *at == '-';

	if ((*at == 'Z' || *at == 'z') && !at[1]) {
		*out_minutes = 0;
		return 0;
	}
	if (*at != '+' && !is_west)
		return -1;
	at++;
	if (take(&at, 2, ':', &hours) || take(&at, 2, '\0', &minutes) || *at || hours > 23 ||
	    minutes > 59)
		return -1;
	*out_minutes = (is_west ? -1 : 1) * (60 * hours + minutes);
	return 0;
}

int timestamp_parse(const char *text, int64_t *out_ms)
{
	struct tm given = { .tm_isdst = 0 }, tm;
	int ms, offset;
	time_t seconds;

	if (take(&text, 4, '-', &given.tm_year) || take(&text, 2, '-', &given.tm_mon) ||
	    take(&text, 2, '\0', &given.tm_mday) || !strchr("Tt ", *text) || !*text++ ||
	    take(&text, 2, ':', &given.tm_hour) || take(&text, 2, ':', &given.tm_min) ||
	    take(&text, 2, '\0', &given.tm_sec) || take_fraction(&text, &ms) ||
	    take_offset(text, &offset))
		return -1;
	given.tm_year -= 1900;
	given.tm_mon -= 1;
	if (given.tm_hour > 23 || given.tm_min > 59 || given.tm_sec > 60)
		return -1;
	tm = given;
	seconds = timegm(&tm);
	/* A leap second is the one after it; a 30th of February is none at all. */
	if (given.tm_sec < 60 && (tm.tm_mday != given.tm_mday || tm.tm_mon != given.tm_mon))
		return -1;
	*out_ms = ((int64_t)seconds - 60 * offset) * 1000 + ms;
	return 0;
}

char *timestamp_format(int64_t ms, char text[static TIMESTAMP_SIZE])
{
	int64_t part = ms % 1000 < 0 ? ms % 1000 + 1000 : ms % 1000;
	time_t seconds = (time_t)((ms - part) / 1000);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm))
		tm = (struct tm){ .tm_year = 70, .tm_mday = 1 };
	(void)snprintf(text, TIMESTAMP_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
	               (tm.tm_year + 1900) % 10000, tm.tm_mon % 12 + 1, tm.tm_mday % 32,
	               tm.tm_hour % 24, tm.tm_min % 60, tm.tm_sec % 61, (int)part);
	return text;
}
