/*
 * Looks after the server's certificate while it runs, on a thread of its own
 * (files may lie on a file system that hangs): takes what is new, and says in
 * the log what was taken, what could not be, and when the certificate ends.
 */
#ifndef SPECMAN_CERTIFICATE_H
#define SPECMAN_CERTIFICATE_H

#include "base/err.h"
#include "recurring.h"
#include "status.h"
#include "tls/tls.h"

struct certificate_watch;

/* What it is given must outlive it. */
MUST_CHECK struct certificate_watch *certificate_watch_start(struct tls_server *server,
                                                             struct recurring *troubles,
                                                             struct status *status,
                                                             struct err *err);

/* Look at once; any thread. */
void certificate_watch_trigger(struct certificate_watch *watch);

/* End it. NULL is fine. */
void certificate_watch_stop(struct certificate_watch *watch);

/*
 * How near the end is, when so many seconds are left: 0 for far away, then a
 * number that grows by one 30 days, 7 days and 1 day before, and at the end.
 */
int certificate_stage(int64_t seconds_left);

#endif
