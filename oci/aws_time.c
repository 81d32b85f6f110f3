/* Times; see aws_time.h. */
#include "oci/aws_time.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "oci/limits.h"

int aws_time_parse(const char *text, int64_t *out_seconds, struct err *err)
{
	struct tm tm = { .tm_year = 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (end && *end == '.' && isdigit((unsigned char)end[1]))
		end += 1 + strspn(end + 1, "0123456789");
	if (!end || strcmp(end, "Z") != 0)
		return err_set(err, ERR_FORMAT, "\"%.40s\" is no time", text);
	*out_seconds = timegm(&tm);
	return 0;
}

int64_t aws_time_skew(const struct exchange *exchange)
{
	const char *date = exchange_header(exchange, "Date", 0);
	time_t theirs = date ? curl_getdate(date, NULL) : -1;

	return theirs < 0 ? 0 : theirs - time(NULL);
}

int64_t aws_time_life(const struct exchange *exchange, int64_t end_s)
{
	int64_t now_s = time(NULL) + aws_time_skew(exchange);

	if (end_s <= now_s)
		return 0;
	return end_s >= now_s + LIMIT_AWS_LIFE_S ? LIMIT_AWS_LIFE_S : end_s - now_s;
}

int64_t aws_time_renew(int64_t life_s, int64_t margin_s)
{
	int64_t after = life_s >= 2 * margin_s ? life_s - margin_s : life_s / 2;

	return after > 1 ? after : 1;
}
