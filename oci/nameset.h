/* Strings in the order of their coming, each once. */
#ifndef SPECMAN_OCI_NAMESET_H
#define SPECMAN_OCI_NAMESET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct nameset {
	char **names;
	size_t count;
	size_t room;
	void *index; /* tsearch(3) over names */
};

#define NAMESET_INIT                                                                               \
	{                                                                                          \
		.names = NULL, .count = 0, .room = 0, .index = NULL                                \
	}

void nameset_release(struct nameset *set);

bool nameset_has(const struct nameset *set, const char *name);

/* Add a copy of name; one that is there already is no error. ERR_LIMIT past `max` names. */
MUST_CHECK int nameset_add(struct nameset *set, const char *name, size_t max, struct err *err);

/* Give the names away: an array on the heap, of heap strings. The set is empty then. */
char **nameset_steal(struct nameset *set, size_t *out_count);

#endif
