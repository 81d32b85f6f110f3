/* specman gc: sweep what no release names, by the daemon or here. */
#include <stdio.h>

#include "commands.h"
#include "control.h"
#include "reading.h"
#include "store_commands.h"
#include "storing.h"

DEFINE_CLEANUP(cleanup_recurring, struct recurring, recurring_free);

static int sweep_here(const struct config *config, struct sync_outcome *out_outcome,
                      struct err *err)
{
	CLEANUP(cleanup_recurring) struct recurring *troubles = recurring_new(err);
	struct storing_observer observer = { .troubles = troubles };
	CLEANUP(cleanup_store)
	struct store *store = troubles ? storing_open(config, &observer, NULL, err) : NULL;

	out_outcome->verdict = SYNC_VERDICT_DONE;
	return store ? storing_sweep(store, out_outcome->reason, sizeof(out_outcome->reason), err)
	             : -1;
}

int gc_command(const struct config *config)
{
	struct sync_outcome outcome;
	struct err err;
	int failed = control_ask(config->data_dir, CONTROL_GC, &outcome, &err);

	if (failed && err.kind == ERR_NOT_FOUND)
		failed = sweep_here(config, &outcome, &err);
	if (!failed && outcome.verdict != SYNC_VERDICT_DONE)
		failed = err_set(&err, ERR_IO, "%s", outcome.reason);
	if (failed)
		return reading_fail("gc", &err);
	(void)puts(outcome.reason);
	return reading_done("gc");
}
