/* specman history: which tag was changed when, from what to what, and signed by whose key. */
#include <errno.h>
#include <stdio.h>

#include "base/timestamp.h"
#include "commands.h"
#include "reading.h"
#include "store_commands.h"

static int print_change(void *ctx, const struct store_change *change, struct err *err)
{
	char when[TIMESTAMP_SIZE], from[DIGEST_TEXT_SIZE] = "-", to[DIGEST_TEXT_SIZE] = "-";
	char key[DIGEST_TEXT_SIZE] = "";

	(void)ctx;
	if (change->had_release)
		(void)digest_format(&change->from, from);
	if (change->has_release)
		(void)digest_format(&change->to, to);
	if (change->is_signed)
		(void)digest_format(&change->signer, key);
	return printf("%s %s %s %s%s%s\n", timestamp_format(change->when_ms, when), change->tag,
	              from, to, *key ? " " : "", key) < 0
	               ? err_set_sys(err, errno, "standard output")
	               : 0;
}

int history_command(const struct config *config)
{
	struct err err;
	CLEANUP(cleanup_store) struct store *store = reading_open(config, &err);

	if (!store || store_history(store, print_change, NULL, &err))
		return reading_fail("history", &err);
	return reading_done("history");
}
