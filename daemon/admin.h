/*
 * Health, on a port of its own, plain HTTP: /livez (200 while the workers go
 * round) and /readyz (200 while something is served and specman is not
 * stopping), else 503 with the reason.
 */
#ifndef SPECMAN_ADMIN_H
#define SPECMAN_ADMIN_H

#include <stdbool.h>

#include "base/err.h"
#include "base/listen.h"

/* Called from the admin thread: whether it is well; reason is a text for people. */
typedef bool admin_check(void *ctx, const char **out_reason);

struct admin_settings {
	const struct listen_address *listen;
	size_t listen_count;
	admin_check *is_live;
	admin_check *is_ready;
	void *ctx;
};

struct admin;

/* settings are borrowed during the call, but for ctx. ERR_IO for sockets. */
MUST_CHECK struct admin *admin_start(const struct admin_settings *settings, struct err *err);
MUST_CHECK int admin_address(const struct admin *admin, size_t index,
                             struct listen_address *out_address, struct err *err);
void admin_stop(struct admin *admin);

#endif
