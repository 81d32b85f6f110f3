/* What the harnesses share: a store's folder of their own, in $TMPDIR. */
#ifndef SPECMAN_TEST_FUZZ_H
#define SPECMAN_TEST_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "storage/layout.h"
#include "must.h"

static struct layout fuzz_layout;
static char fuzz_folder[256];

static void fuzz_remove_store(void)
{
	char command[300];

	layout_close(&fuzz_layout);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", fuzz_folder);
	(void)!system(command);
}

/* The layout; made at the first call, removed at the end of the process. */
static inline const struct layout *fuzz_store(void)
{
	const char *parent = getenv("TMPDIR");
	struct err err;

	if (!fuzz_folder[0]) {
		(void)snprintf(fuzz_folder, sizeof(fuzz_folder), "%s/specman-fuzz-XXXXXX",
		               parent ? parent : "/tmp");
		MUST(mkdtemp(fuzz_folder));
		MUST(!layout_open(fuzz_folder, &fuzz_layout, &err));
		MUST(!atexit(fuzz_remove_store));
	}
	return &fuzz_layout;
}

#endif
