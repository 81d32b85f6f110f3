/*
 * Who may ask: Basic authentication (RFC 7617) against an htpasswd file.
 * Hashing a password takes a good part of a second on purpose, so it is done by
 * one thread beside the workers, a bounded number of tries may wait for it, and
 * not for long, an address that fails goes on at a try a second, and what was
 * right once is remembered: not the password, but a keyed hash of it. Who asks
 * the same as a try that is under way gets its verdict: after a restart, all
 * clients of one user cost one try. The file is read again when it changes; one
 * that is broken changes nothing.
 */
#ifndef SPECMAN_LOGIN_H
#define SPECMAN_LOGIN_H

#include <sys/socket.h>

#include "base/err.h"
#include "status.h"

struct login;

/* ERR_CONFIG for a file that is missing or broken. status must outlive it. */
MUST_CHECK struct login *login_new(const char *file, struct status *status, struct err *err);

/* End all tries (they find LOGIN_BUSY) and the thread. NULL is fine. */
void login_free(struct login *login);

enum login_verdict {
	LOGIN_YES,
	LOGIN_NO,     /* 401 */
	LOGIN_OFTEN,  /* 429: this address has failed too often */
	LOGIN_BUSY,   /* 503: too many wait, or for too long */
	LOGIN_TO_TRY, /* it has to be hashed */
};

struct login_try;

/*
 * Judge the value of an Authorization field (NULL: there is none). Any thread,
 * quick. With LOGIN_TO_TRY *out_try is the caller's, to be started.
 */
enum login_verdict login_judge(struct login *login, const char *authorization,
                               const struct sockaddr_storage *peer, struct login_try **out_try);

/* Hash it: done(ctx) is called once, on any thread and maybe at once; the verdict is there then. */
void login_try_start(struct login_try *attempt, void (*done)(void *ctx), void *ctx);

/* What a try came to that is done: all but LOGIN_TO_TRY. */
enum login_verdict login_try_verdict(const struct login_try *attempt);

/* Not while it is under way. NULL is fine. */
void login_try_free(struct login_try *attempt);

#endif
