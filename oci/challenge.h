/*
 * WWW-Authenticate (RFC 9110, section 11.6.1; RFC 6750, section 3): the
 * challenges that this client can answer, Basic and Bearer.
 */
#ifndef SPECMAN_OCI_CHALLENGE_H
#define SPECMAN_OCI_CHALLENGE_H

#include <stdbool.h>

enum { CHALLENGE_REALM_SIZE = 2048, CHALLENGE_SERVICE_SIZE = 512, CHALLENGE_SCOPE_SIZE = 2048 };

struct challenge {
	bool basic;
	bool bearer; /* and then realm is not empty */
	char realm[CHALLENGE_REALM_SIZE];
	char service[CHALLENGE_SERVICE_SIZE];
	char scope[CHALLENGE_SCOPE_SIZE];
};

/*
 * Add one header line's challenges to *challenge, which starts zeroed. The first
 * Bearer counts, of twice given parameters the first. What can't be parsed ends
 * the line; a Bearer that is cut by this, or whose parameters don't fit, or that
 * has no realm, doesn't count.
 */
void challenge_add(struct challenge *challenge, const char *header);

#endif
