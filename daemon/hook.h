/*
 * POST /hooks/sync on the admin port: a registry, or whoever knows the token of
 * --hook-token-file, says that there is something new. Whatever the request says,
 * all that it can do is to bring the next round forward, and not more often than
 * once a second.
 */
#ifndef SPECMAN_HOOK_H
#define SPECMAN_HOOK_H

#include "admin.h"
#include "base/err.h"
#include "config.h"
#include "poller.h"
#include "recurring.h"

struct hook;

/*
 * Config and troubles must outlive it. ERR_CONFIG for a token file that can't be read, or holds no
 * token; later it is read for each request, so that a new token counts at once.
 */
MUST_CHECK struct hook *hook_new(const struct config *config, struct recurring *troubles,
                                 struct err *err);

/* Just whether the file holds a token. ERR_CONFIG, ERR_NOT_FOUND or ERR_IO with a cause of
 * advice.h. */
MUST_CHECK int hook_check_token(const char *path, struct err *err);

/* Not before the admin port has stopped. NULL is fine. */
void hook_free(struct hook *hook);

/* From now on this poller is told; NULL: none is, and it may be freed. hook may be NULL. */
void hook_attach(struct hook *hook, struct poller *poller);

/* The route; ctx is a struct hook. */
admin_answerer hook_answer;

#endif
