/* Numbers with units; see unit.h. */
#include "unit.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int unit_parse_count(const char *text, int64_t least, int64_t most, const char **out_end,
                     int64_t *out_count)
{
	char *end;
	long long count;

	errno = 0;
	count = strtoll(text, &end, 10);
	if (!isdigit((unsigned char)*text) || errno || count < least || count > most)
		return -1;
	*out_end = end;
	*out_count = count;
	return 0;
}

int unit_parse_duration(const char *text, int64_t *out_ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	const int64_t most = 8760LL * 3600 * 1000;
	int64_t total = 0;

	do {
		int64_t count;
		size_t i = 0;

		if (unit_parse_count(text, 0, most, &text, &count))
			return -1;
		while (i < 4 && (strncmp(text, units[i].unit, strlen(units[i].unit)) != 0))
			i++;
		if (i == 4)
			return -1;
		if (count > (most - total) / units[i].ms)
			return -1;
		total += count * units[i].ms;
		text += strlen(units[i].unit);
	} while (*text);
	*out_ms = total;
	return total > 0 ? 0 : -1;
}

int unit_parse_size(const char *text, int64_t *out_bytes)
{
	static const struct {
		const char *unit;
		int64_t bytes;
	} units[] = { { "", 1 },           { "Ki", 1LL << 10 }, { "Mi", 1LL << 20 },
		      { "Gi", 1LL << 30 }, { "Ti", 1LL << 40 }, { "k", 1000 },
		      { "M", 1000000 },    { "G", 1000000000 }, { "T", 1000000000000 } };
	const int64_t most = 1LL << 60;
	int64_t count;

	if (unit_parse_count(text, 0, most, &text, &count))
		return -1;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(text, units[i].unit) && count <= most / units[i].bytes) {
			*out_bytes = count * units[i].bytes;
			return 0;
		}
	return -1;
}
