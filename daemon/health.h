/*
 * The probes of the admin port. /livez: the workers and the sync thread go round;
 * a registry that is away, a long download or a full disk are no reason to kill a
 * pod. /readyz: something is served; the registry has no say in it. With ?verbose
 * each says what it looked at, a line each, as Kubernetes' own servers do; what is
 * marked "for information" decides nothing.
 */
#ifndef SPECMAN_HEALTH_H
#define SPECMAN_HEALTH_H

#include "admin.h"

/* Routes; ctx is a struct overviews. */
admin_answerer health_live;
admin_answerer health_ready;

#endif
