/*
 * Ownership of locals: CLEANUP(function) releases a variable when it goes out
 * of scope, STEAL() hands it on. Functions so used take the variable's address
 * and accept the empty value (NULL, or -1 for a descriptor).
 */
#ifndef SPECMAN_BASE_CLEANUP_H
#define SPECMAN_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

/* Give away the pointer in variable and leave NULL behind. */
#define STEAL(variable)                                                                            \
	__extension__({                                                                            \
		__typeof__(variable) s_ = (variable);                                              \
		(variable) = NULL;                                                                 \
		s_;                                                                                \
	})

/* Define a cleanup function `name` for `type *` that calls release(pointer) unless NULL. */
#define DEFINE_CLEANUP(name, type, release)                                                        \
	static inline void name(type **owner)                                                      \
	{                                                                                          \
		if (*owner)                                                                        \
			release(*owner);                                                           \
	}                                                                                          \
	struct cleanup_semicolon_

static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

static inline void cleanup_free(void *owner)
{
	free(*(void **)owner);
}

static inline void cleanup_fd(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* For files that were only read: a writer checks fclose itself. */
static inline void cleanup_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

#endif
