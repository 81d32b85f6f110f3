/* What a client would rather have; see accept.h. */
#include "accept.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { NOT_NAMED = -1, REFUSED = 0, WEIGHT_ONE = 1000 };

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* "0" to "1" with three decimals at most (section 12.4.2), in thousandths. */
static int parse_weight(const char *text, size_t length)
{
	int weight = 0, scale = WEIGHT_ONE;

	if (!length || length > 5 || (text[0] != '0' && text[0] != '1') ||
	    (length > 1 && text[1] != '.'))
		return REFUSED;
	weight = (text[0] - '0') * scale;
	for (size_t i = 2; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return REFUSED;
		scale /= 10;
		weight += (text[i] - '0') * scale;
	}
	return weight <= WEIGHT_ONE ? weight : REFUSED;
}

/* The weight among an element's parameters, which begin at *at; *at is at the comma or the end
 * then. */
static int read_weight(const char **at)
{
	int weight = WEIGHT_ONE;

	while (**at == ';') {
		const char *name = skip_blanks(*at + 1);
		size_t length = strcspn(name, ";,");

		if ((name[0] == 'q' || name[0] == 'Q') && name[1] == '=') {
			size_t size = length - 2;

			while (size && strchr(" \t", name[1 + size]))
				size--;
			weight = parse_weight(name + 2, size);
		}
		*at = name + length;
	}
	return weight;
}

/* The weight that a list gives to a name; of several, the largest. */
static int weight_in(const char *at, const char *name)
{
	size_t length = strlen(name);
	int best = NOT_NAMED;

	while (*at) {
		const char *element = skip_blanks(at);
		size_t size = strcspn(element, ";, \t");
		int weight;

		at = element + size + strcspn(element + size, ";,");
		weight = read_weight(&at);
		if (size == length && !strncasecmp(element, name, length) && weight > best)
			best = weight;
		at += *at == ',';
	}
	return best;
}

static int weight_of(const char *const *lines, const char *name)
{
	int best = NOT_NAMED;

	for (; *lines; lines++) {
		int weight = weight_in(*lines, name);

		if (weight > best)
			best = weight;
	}
	return best;
}

bool accept_gzip(const char *const *lines)
{
	int gzip = weight_of(lines, "gzip");
	int alias = weight_of(lines, "x-gzip"); /* section 8.4.1.3 */
	int weight = gzip > alias ? gzip : alias;

	if (weight == NOT_NAMED)
		weight = weight_of(lines, "*");
	return weight > REFUSED && weight >= weight_of(lines, "identity");
}

bool accept_json(const char *const *lines)
{
	int json = weight_of(lines, "application/json");

	return json > REFUSED && json > weight_of(lines, "text/html");
}

bool accept_openmetrics(const char *const *lines)
{
	int openmetrics = weight_of(lines, "application/openmetrics-text");

	return openmetrics > REFUSED && openmetrics >= weight_of(lines, "text/plain");
}
