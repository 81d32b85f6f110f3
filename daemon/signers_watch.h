/*
 * New keys while the daemon runs: a thread that looks at the files of --verify-key
 * each second, takes what has changed and rests, and has a round begin with it.
 * What can't be used is refused, and the old keys stay.
 */
#ifndef SPECMAN_SIGNERS_WATCH_H
#define SPECMAN_SIGNERS_WATCH_H

#include "base/cancel.h"
#include "base/err.h"
#include "config.h"
#include "recurring.h"
#include "signers.h"
#include "status.h"

struct signers_watch;

/* What new keys are given to. All are borrowed for its life. */
struct signers_watch_settings {
	const struct config *config;
	struct signers *signers;
	/* Interrupted, so that a withdrawn key counts within seconds: the poller goes another. */
	struct cancel *round;
	struct recurring *troubles;
	struct status *status;
};

MUST_CHECK struct signers_watch *signers_watch_start(const struct signers_watch_settings *settings,
                                                     struct err *err);

/* Read the files now, whether they seem to have changed or not. Any thread. NULL is fine. */
void signers_watch_trigger(struct signers_watch *watch);

/* NULL is fine. */
void signers_watch_stop(struct signers_watch *watch);

#endif
