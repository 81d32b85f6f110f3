/* A CA and a server certificate of our own, for where none is given. */
#ifndef SPECMAN_TLS_SELFSIGNED_H
#define SPECMAN_TLS_SELFSIGNED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * See to it that state_dir has ca.crt, ca.key, tls.crt and tls.key that fit
 * each other and are good for a while (see tls_selfsigned_ca in tls.h). Safe
 * against another process that does the same. Errors: ERR_IO, ERR_FORMAT (a CA
 * that can't be read: it is never replaced silently, since clients trust it).
 */
MUST_CHECK int selfsigned_ensure(const char *state_dir, struct err *err);

/* Whether selfsigned_ensure would renew a server certificate that is good until then. */
bool selfsigned_ends_soon(int64_t not_after, int64_t now);

#endif
