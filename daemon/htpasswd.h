/*
 * Users and the hashes of their passwords, from a file as Apache's htpasswd
 * writes it: USER:HASH lines; empty ones and those that begin with # are passed
 * over. Hashes are bcrypt ($2a$, $2b$, $2y$; htpasswd -B) and SHA-crypt ($5$,
 * $6$; htpasswd -2, -5; openssl passwd -6), by crypt(3).
 */
#ifndef SPECMAN_HTPASSWD_H
#define SPECMAN_HTPASSWD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
	HTPASSWD_NAME_SIZE = 256,
	HTPASSWD_PASSWORD_SIZE = 512,
	HTPASSWD_COST_MAX = 16,            /* of bcrypt: some seconds for each try */
	HTPASSWD_ROUNDS_MAX = 2 * 1000000, /* of SHA-crypt: the same */
};

struct htpasswd;

/*
 * Read a file of 1 MiB at most. ERR_CONFIG names the line and what is wrong with
 * it: an older hash, one that costs too much, a user who is there twice; also
 * when it has no user at all.
 */
MUST_CHECK struct htpasswd *htpasswd_read(const char *file, struct err *err);
void htpasswd_free(struct htpasswd *users);

/* What a file has. */
struct htpasswd_survey {
	unsigned bcrypt, sha256, sha512; /* users, by how their passwords are hashed */
	unsigned bad;                    /* lines that can't be used: htpasswd_read refuses it */
};

/*
 * Look at each line, and tell of each that can't be used, without what it holds.
 * -1 when the file can't be read as text at all.
 */
MUST_CHECK int htpasswd_look(const char *file,
                             void (*bad)(void *ctx, unsigned line, const char *why), void *ctx,
                             struct htpasswd_survey *out_survey, struct err *err);

size_t htpasswd_count(const struct htpasswd *users);

/*
 * Whether this is the user's password. Always hashes exactly once: for a user
 * who is not there with the scheme and the cost of one who is, so the time that
 * it takes says nothing about who is there. One thread at a time.
 */
bool htpasswd_check(struct htpasswd *users, const char *user, const char *password,
                    bool *out_is_known);

#endif
