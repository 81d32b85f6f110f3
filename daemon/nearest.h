/* The name that somebody may have meant. */
#ifndef SPECMAN_NEAREST_H
#define SPECMAN_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

enum { NEAREST_SIZE = 64 };

struct nearest {
	char given[NEAREST_SIZE]; /* cut when it is longer */
	char best[NEAREST_SIZE];  /* of those that were offered; "": none was */
	unsigned far;             /* how many letters it takes from one to the other */
};

/* The name is `length` bytes long. */
void nearest_init(struct nearest *nearest, const char *given, size_t length);
void nearest_offer(struct nearest *nearest, const char *candidate);

/* Whether the best is near enough to be worth a word. */
bool nearest_is_close(const struct nearest *nearest);

#endif
