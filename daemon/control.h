/*
 * How another process on this machine asks the daemon for something: a socket
 * in the data directory, run/control.sock, which works without a network.
 *
 * One connection is one request of one line: "sync\n" to go a round, "gc\n" to
 * sweep the store; and one line in answer, which comes at the end of a round, or
 * of a sweep, that started after the request:
 *
 *	done
 *	done: <what>           of a sweep
 *	nothing: <reason>      no registry is named yet, or nothing to serve yet
 *	failed: <reason>       also when the request can't be taken
 *	stopping: <reason>
 *
 * The folder is for the daemon's user alone (mode 0700), and so is the socket
 * (0600); who asks must be that user or root (SO_PEERCRED, unix(7)).
 */
#ifndef SPECMAN_CONTROL_H
#define SPECMAN_CONTROL_H

#include "base/cancel.h"
#include "base/err.h"
#include "poller.h"
#include "sync.h"

struct control;

enum control_request { CONTROL_SYNC, CONTROL_GC };

/*
 * Listen, on a thread of its own. The store of data_dir must be open: its lock
 * is what says that a socket which is there already is a dead daemon's.
 * Everything is borrowed for its life; once cancel is raised, every request is
 * answered with "stopping".
 */
MUST_CHECK struct control *control_start(const char *data_dir, struct poller *poller,
                                         const struct cancel *cancel, struct err *err);

/* Before the poller ends. NULL is fine. */
void control_stop(struct control *control);

/*
 * The other end: ask the daemon of data_dir, and wait for its answer, as long
 * as what was asked for takes. ERR_NOT_FOUND when no daemon listens there.
 */
MUST_CHECK int control_ask(const char *data_dir, enum control_request request,
                           struct sync_outcome *out_outcome, struct err *err);

#endif
