/* The name that somebody may have meant; see nearest.h. */
#include "nearest.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Levenshtein's distance of two names, of fewer than NEAREST_SIZE bytes each. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NEAREST_SIZE];
	size_t width = strnlen(b, NEAREST_SIZE - 1);

	for (unsigned j = 0; j <= width; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1]; i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= width; j++) {
			unsigned best = corner + (a[i - 1] != b[j - 1]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			corner = row[j];
			row[j] = best;
		}
	}
	return row[width];
}

/* Whether one is the beginning of the other, up to where a word of it ends. */
static bool is_part(const char *a, const char *b)
{
	size_t length = strlen(a);

	return length > 3 && !strncmp(a, b, length) && (b[length] == '-' || b[length] == '_');
}

void nearest_init(struct nearest *nearest, const char *given, size_t length)
{
	*nearest = (struct nearest){ .far = UINT_MAX };
	(void)snprintf(nearest->given, NEAREST_SIZE, "%.*s",
	               (int)(length < NEAREST_SIZE ? length : NEAREST_SIZE - 1), given);
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
	unsigned far = is_part(nearest->given, candidate) || is_part(candidate, nearest->given)
	                       ? 1
	                       : distance(nearest->given, candidate);

	if (far >= nearest->far)
		return;
	nearest->far = far;
	(void)snprintf(nearest->best, NEAREST_SIZE, "%s", candidate);
}

bool nearest_is_close(const struct nearest *nearest)
{
	return *nearest->best && nearest->far <= 1 + strlen(nearest->given) / 3;
}
