/*
 * Requests without an answer: from what libcurl, OpenSSL and the kernel know of
 * one to its cause (enum oci_cause) and a sentence for the operator.
 */
#ifndef SPECMAN_OCI_FAILURE_H
#define SPECMAN_OCI_FAILURE_H

#include <stdbool.h>

#include <curl/curl.h>

#include "base/err.h"
#include "oci/connector.h"
#include "oci/oci.h"

/* What is known. Everything is borrowed. */
struct failure {
	CURLcode code;
	const char *text;         /* libcurl's, in more words than the code's; or "" */
	CURLproxycode proxy_code; /* of CURLE_PROXY: what a SOCKS proxy says */
	long os_errno;            /* of connect(2), or 0 */
	long connect_status;      /* of the answer to CONNECT, or 0 */
	bool looked_up;           /* the name has an address */
	bool connected;           /* a connection stood, be it to the proxy alone */
	bool answered; /* there was the beginning of an answer, or one before to who asks so */
	const struct connection *connection; /* its peer is whom the latest handshake was with */
};

/* Gather it from a handle whose request ended with code. */
void failure_read(CURL *easy, CURLcode code, const char *text, const struct connection *connection,
                  struct failure *out_failure);

/* OCI_CAUSE_NONE for what has nothing to do with the way or the other end. */
enum oci_cause failure_cause(const struct failure *failure);

/*
 * Fill err: kind (ERR_NETWORK; ERR_AUTH where a proxy wants another login), cause,
 * and "<who>: <what happened>", with the proxy by host and port, and for a
 * certificate that isn't believed its issuer or names. Always -1.
 */
int failure_set(const struct failure *failure, const char *who, struct err *err);

#endif
