/* specman verify: a full check of the store, and a list of what is wrong. */
#include <inttypes.h>
#include <stdio.h>

#include "commands.h"
#include "reading.h"
#include "store_commands.h"

static void tell_flaw(void *ctx, const char *tag, const char *path, const char *what)
{
	struct progress *progress = ctx;

	progress_end(progress);
	(void)printf("%s%s", tag, *path ? "/" : "");
	reading_print_name(path);
	(void)printf(": %s\n", what);
}

int verify_command(const struct config *config)
{
	struct err err;
	CLEANUP(cleanup_store) struct store *store = reading_open(config, &err);
	struct progress progress = { .verb = "verify" };
	const struct store_verify_observer observer = { tell_flaw, progress_show, &progress };
	struct store_verdict verdict;
	int failed = store ? store_verify(store, &observer, &verdict, &err) : -1;

	progress_end(&progress);
	if (failed)
		return reading_fail("verify", &err);
	(void)printf("%" PRIu64 " releases, %" PRIu64 " objects, %" PRIu64 " bytes read; %" PRIu64
	             " damaged, %" PRIu64 " that no release names\n",
	             verdict.releases, verdict.objects, verdict.bytes, verdict.flaws,
	             verdict.orphans);
	failed = reading_done("verify");
	return verdict.flaws ? EXIT_FAILED : failed;
}
