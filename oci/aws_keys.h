/* The keys that a request to AWS is signed with. */
#ifndef SPECMAN_OCI_AWS_KEYS_H
#define SPECMAN_OCI_AWS_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/exchange.h"

/* The strings are the struct's; session_token may be NULL. aws_keys_release wipes. */
struct aws_keys {
	char *access_key;
	char *secret_key;
	char *session_token;
	const char *source; /* in words: "the environment"; a constant, not owned */
	int64_t life_s;     /* from when they came; 0: without end */
};

#define AWS_KEYS_NONE                                                                              \
	{                                                                                          \
		.access_key = NULL, .life_s = 0                                                    \
	}

void aws_keys_release(struct aws_keys *keys);

/*
 * Copies of the strings. ERR_CONFIG when one is missing (the session token may
 * be), too long, or has a character that can't stand in a header.
 */
MUST_CHECK int aws_keys_set(const char *access_key, const char *secret_key,
                            const char *session_token, const char *source,
                            struct aws_keys *out_keys, struct err *err);

/*
 * Read the answer of a container's agent or of the metadata service: JSON with
 * AccessKeyId, SecretAccessKey, Token and Expiration. ERR_FORMAT when it is not.
 */
MUST_CHECK int aws_keys_read(const struct exchange *exchange, const char *source,
                             struct aws_keys *out_keys, struct err *err);

/* Overwrite and free what an exchange got: for answers with secrets. */
void aws_exchange_release(struct exchange *exchange);

#endif
