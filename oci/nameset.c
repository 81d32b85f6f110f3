/* Ordered unique strings; see nameset.h. */
#include "oci/nameset.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void keep(void *name)
{
	(void)name;
}

void nameset_release(struct nameset *set)
{
	tdestroy(set->index, keep);
	for (size_t i = 0; i < set->count; i++)
		free(set->names[i]);
	free(set->names);
	*set = (struct nameset)NAMESET_INIT;
}

bool nameset_has(const struct nameset *set, const char *name)
{
	return tfind(name, &set->index, compare);
}

static int reserve(struct nameset *set)
{
	size_t room = set->room ? 2 * set->room : 64;
	char **names;

	if (set->count < set->room)
		return 0;
	names = reallocarray(set->names, room, sizeof(*names));
	if (!names)
		return -1;
	set->names = names;
	set->room = room;
	return 0;
}

int nameset_add(struct nameset *set, const char *name, size_t max, struct err *err)
{
	CLEANUP(cleanup_free) char *copy = NULL;

	if (nameset_has(set, name))
		return 0;
	if (set->count >= max)
		return err_set(err, ERR_LIMIT, "more than %zu", max);
	copy = strdup(name);
	if (!copy || reserve(set) || !tsearch(copy, &set->index, compare))
		return err_set_sys(err, ENOMEM, "list of %zu names", set->count);
	set->names[set->count++] = STEAL(copy);
	return 0;
}

char **nameset_steal(struct nameset *set, size_t *out_count)
{
	char **names = set->names;

	tdestroy(set->index, keep);
	*out_count = set->count;
	*set = (struct nameset)NAMESET_INIT;
	return names;
}
