/*
 * Who we are to one repository: from credentials and challenges to the value of
 * the Authorization header (RFC 9110, section 11; RFC 6750; RFC 7617).
 *
 * How a question is asked:
 *
 *	struct auth_round round = { 0 };
 *	do {
 *		auth_header(auth, &exchange.authorization, &err);
 *		transport_ask(transport, &exchange);
 *		verdict = auth_rejects(auth, &exchange, &rejection) ?
 *			auth_react(auth, &round, &rejection, &err) : AUTH_KEEP;
 *	} while (verdict == AUTH_AGAIN);
 *
 * Basic is said to the registry alone, a token to the registry alone,
 * credentials to the registry and to a token server that passes
 * token_check_realm(). None of them follows a redirect.
 */
#ifndef SPECMAN_OCI_AUTH_H
#define SPECMAN_OCI_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/answer.h"
#include "oci/challenge.h"
#include "oci/exchange.h"
#include "oci/oci.h"
#include "oci/transport.h"

struct auth;

/* The transport is borrowed for good; the settings during the call alone. */
MUST_CHECK struct auth *auth_new(const struct oci_settings *settings, const char *registry_url,
                                 struct transport *transport, struct err *err);
void auth_free(struct auth *auth);

/*
 * The header's value, or NULL: nothing has been asked for yet. A token that is about to end is
 * renewed first, and ECR is logged in to; this can fail. It stays valid until the next call of
 * auth_header or auth_react.
 */
MUST_CHECK int auth_header(struct auth *auth, const char **out_value, struct err *err);

/* Why an answer may be a matter of credentials. */
struct auth_rejection {
	bool denied; /* 401: else 400 or 403, which may mean an expired token */
	bool with_header;
	struct challenge challenge;
};

/* Whether it is; then *out_rejection is filled. */
bool auth_rejects(const struct auth *auth, const struct exchange *exchange,
                  struct auth_rejection *out_rejection);

/* What was tried already for a question, or for a series of them. Starts zeroed. */
struct auth_round {
	bool logged_in;
	bool dropped;
};

enum auth_verdict {
	AUTH_KEEP,   /* the answer stands */
	AUTH_AGAIN,  /* ask again, with auth_header()'s new value */
	AUTH_FAILED, /* there is no way on; err says why */
};

/*
 * Do something about a rejection, once: log in as the challenge says, or forget
 * a header that has become worthless and look what is said without one.
 */
enum auth_verdict auth_react(struct auth *auth, struct auth_round *round,
                             const struct auth_rejection *rejection, struct err *err);

/*
 * Until when (clock_now_ms()) a token server that is to be asked next wants no question
 * (RFC 9110, section 10.2.3), or 0.
 */
int64_t auth_not_before_ms(const struct auth *auth);

/* What an operator should look at after a 401: "check username and password". */
struct answer_hint auth_hint(const struct auth *auth);

#endif
