/* Requests without an answer; see failure.h. */
#include "oci/failure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/x509.h>

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

/* What is known of a connection to the registry that isn't known of one to a proxy. */
static const struct proxy *proxy_of(const struct failure *failure)
{
	return failure->connection->proxy;
}

void failure_read(CURL *easy, CURLcode code, const char *text, const struct connection *connection,
                  struct failure *out_failure)
{
	struct failure failure = { .code = code, .text = text, .connection = connection };
	curl_off_t looked_up_us = 0;
	curl_off_t connected_us = 0;
	long proxy_code = CURLPX_OK;

	(void)curl_easy_getinfo(easy, CURLINFO_PROXY_ERROR, &proxy_code);
	(void)curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &failure.os_errno);
	(void)curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &failure.verify_result);
	(void)curl_easy_getinfo(easy, CURLINFO_PROXY_SSL_VERIFYRESULT,
	                        &failure.proxy_verify_result);
	(void)curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &failure.connect_status);
	(void)curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &looked_up_us);
	(void)curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected_us);
	failure.proxy_code = (CURLproxycode)proxy_code;
	failure.looked_up = looked_up_us > 0;
	failure.connected = connected_us > 0;
	*out_failure = failure;
}

/* ---- causes ---- */

/* Whether it was the proxy's own TLS that failed: before a tunnel there is no other. */
static bool is_at_proxy(const struct failure *failure)
{
	const struct proxy *proxy = proxy_of(failure);

	return proxy && proxy->kind == PROXY_HTTPS && !failure->connect_status;
}

static enum oci_cause cause_of_connect(const struct failure *failure)
{
	if (proxy_of(failure))
		return OCI_CAUSE_PROXY_UNREACHABLE;
	if (failure->os_errno == ECONNREFUSED)
		return OCI_CAUSE_REFUSED;
	if (failure->os_errno == ETIMEDOUT)
		return OCI_CAUSE_CONNECT_TIMEOUT;
	return OCI_CAUSE_UNREACHABLE;
}

static enum oci_cause cause_of_timeout(const struct failure *failure)
{
	if (failure->connected)
		return OCI_CAUSE_STALLED;
	if (proxy_of(failure))
		return OCI_CAUSE_PROXY_UNREACHABLE;
	return failure->looked_up ? OCI_CAUSE_CONNECT_TIMEOUT : OCI_CAUSE_HOST_UNKNOWN;
}

/* RFC 1928, section 6, and RFC 1929. */
static enum oci_cause cause_of_socks(CURLproxycode code)
{
	switch (code) {
	case CURLPX_NO_AUTH:
	case CURLPX_USER_REJECTED:
	case CURLPX_LONG_USER:
	case CURLPX_LONG_PASSWD:
		return OCI_CAUSE_PROXY_LOGIN;
	case CURLPX_RESOLVE_HOST:
	case CURLPX_REPLY_HOST_UNREACHABLE:
	case CURLPX_REPLY_NETWORK_UNREACHABLE:
	case CURLPX_REPLY_TTL_EXPIRED:
		return OCI_CAUSE_UNREACHABLE;
	case CURLPX_REPLY_CONNECTION_REFUSED:
		return OCI_CAUSE_REFUSED;
	case CURLPX_CLOSED:
		return OCI_CAUSE_BROKEN_OFF;
	default:
		return OCI_CAUSE_PROXY_REFUSED;
	}
}

static enum oci_cause cause_of_distrust(const struct failure *failure)
{
	bool at_proxy = is_at_proxy(failure);

	switch (at_proxy ? failure->proxy_verify_result : failure->verify_result) {
	case X509_V_OK: /* libcurl itself compares the names, after OpenSSL */
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return OCI_CAUSE_TLS_WRONG_NAME;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return OCI_CAUSE_TLS_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return OCI_CAUSE_TLS_NOT_YET_VALID;
	default:
		return proxy_of(failure) && !at_proxy ? OCI_CAUSE_TLS_INTERCEPTED
		                                      : OCI_CAUSE_TLS_UNTRUSTED;
	}
}

/*
 * What OpenSSL says of a connection that it gives up, in the words of libssl's
 * table of reasons: neither it nor libcurl hands a number on. With TLS 1.3 a
 * server judges the client's certificate after the handshake: these words come
 * with any code.
 */
static enum oci_cause cause_by_words(const char *text)
{
	static const struct {
		const char *words;
		enum oci_cause cause;
	} rows[] = {
		{ "wrong version number", OCI_CAUSE_TLS_PLAIN_HTTP },
		{ "packet length too long", OCI_CAUSE_TLS_PLAIN_HTTP },
		{ "http request", OCI_CAUSE_TLS_PLAIN_HTTP },
		{ "alert certificate required", OCI_CAUSE_TLS_CLIENT_CERT },
		{ "alert bad certificate", OCI_CAUSE_TLS_CLIENT_CERT },
		{ "alert no certificate", OCI_CAUSE_TLS_CLIENT_CERT },
		{ "alert unsupported certificate", OCI_CAUSE_TLS_CLIENT_CERT },
		{ "alert certificate revoked", OCI_CAUSE_TLS_CLIENT_CERT },
		{ "alert certificate expired", OCI_CAUSE_TLS_CLIENT_CERT },
		{ "alert certificate unknown", OCI_CAUSE_TLS_CLIENT_CERT },
		{ "alert unknown ca", OCI_CAUSE_TLS_CLIENT_CERT },
		{ "alert access denied", OCI_CAUSE_TLS_CLIENT_CERT },
		{ " alert ", OCI_CAUSE_TLS_HANDSHAKE },
	};

	for (size_t i = 0; i < LEN(rows); i++) {
		if (strstr(text, rows[i].words))
			return rows[i].cause;
	}
	return OCI_CAUSE_NONE;
}

static enum oci_cause cause_of_handshake(const char *text)
{
	enum oci_cause cause = cause_by_words(text);

	if (cause)
		return cause;
	if (strstr(text, "SSL_ERROR_SYSCALL") || strstr(text, "unexpected eof") ||
	    strstr(text, "reset by peer"))
		return OCI_CAUSE_BROKEN_OFF;
	return OCI_CAUSE_TLS_HANDSHAKE;
}

enum oci_cause failure_cause(const struct failure *failure)
{
	enum oci_cause cause;

	/* Whatever libcurl's code for it: it has changed with time. */
	if (failure->connect_status == 407)
		return OCI_CAUSE_PROXY_LOGIN;
	if (failure->connect_status >= 300)
		return OCI_CAUSE_PROXY_REFUSED;
	switch (failure->code) {
	case CURLE_COULDNT_RESOLVE_PROXY:
		return OCI_CAUSE_PROXY_UNREACHABLE;
	case CURLE_COULDNT_RESOLVE_HOST:
		return OCI_CAUSE_HOST_UNKNOWN;
	case CURLE_COULDNT_CONNECT:
		return cause_of_connect(failure);
	case CURLE_OPERATION_TIMEDOUT:
		return cause_of_timeout(failure);
	case CURLE_PROXY:
		return cause_of_socks(failure->proxy_code);
	case CURLE_PEER_FAILED_VERIFICATION:
		return cause_of_distrust(failure);
	case CURLE_SSL_CONNECT_ERROR:
		return cause_of_handshake(failure->text);
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		cause = cause_by_words(failure->text);
		return cause ? cause : OCI_CAUSE_BROKEN_OFF;
	default:
		return OCI_CAUSE_NONE;
	}
}

/* ---- sentences ---- */

enum { SENTENCE_SIZE = 400 };

static void say_proxy(const struct failure *failure, enum oci_cause cause, const char *why,
                      char out[static SENTENCE_SIZE])
{
	const struct proxy *proxy = proxy_of(failure);
	char reason[64];

	if (cause == OCI_CAUSE_PROXY_LOGIN)
		(void)snprintf(out, SENTENCE_SIZE, "the proxy %s %s", proxy->name,
		               proxy->login ? "refuses the username and password of its address"
		                            : "wants a login, and its address names no "
		                              "USER:PASSWORD@");
	else if (cause == OCI_CAUSE_PROXY_REFUSED)
		(void)snprintf(out, SENTENCE_SIZE, "the proxy %s refuses to connect: %s",
		               proxy->name, why);
	else
		(void)snprintf(out, SENTENCE_SIZE, "the proxy %s can't be reached: %s", proxy->name,
		               failure->os_errno
		                       ? strerror_r((int)failure->os_errno, reason, sizeof(reason))
		                       : why);
}

static void say_distrust(const struct failure *failure, enum oci_cause cause, const char *why,
                         char out[static SENTENCE_SIZE])
{
	const struct peer *peer = &failure->connection->peer;
	const char *hint;

	if (cause == OCI_CAUSE_TLS_WRONG_NAME) {
		(void)snprintf(out, SENTENCE_SIZE, "%s; the certificate is for: %s", why,
		               peer->names[0] ? peer->names : "no name at all");
		return;
	}
	if (cause == OCI_CAUSE_TLS_INTERCEPTED)
		hint = "a proxy that opens TLS? Then its CA is to be trusted";
	else
		hint = connector_has_trust(failure->connection->connector)
		               ? "is its CA among those to trust?"
		               : "is a CA to trust missing?";
	(void)snprintf(out, SENTENCE_SIZE, "%s; its issuer is \"%s\" (%s)", why, peer->issuer,
	               hint);
}

static const char *hint_of(enum oci_cause cause)
{
	switch (cause) {
	case OCI_CAUSE_TLS_PLAIN_HTTP:
		return " (does it speak plain http?)";
	case OCI_CAUSE_TLS_CLIENT_CERT:
		return " (it wants a client certificate, or another one)";
	case OCI_CAUSE_TLS_EXPIRED:
	case OCI_CAUSE_TLS_NOT_YET_VALID:
		return " (is the clock here right?)";
	default:
		return "";
	}
}

int failure_set(const struct failure *failure, const char *who, struct err *err)
{
	const struct proxy *proxy = proxy_of(failure);
	enum oci_cause cause = failure_cause(failure);
	const char *why = failure->text[0] ? failure->text : curl_easy_strerror(failure->code);
	bool of_proxy = proxy &&
	                (cause == OCI_CAUSE_PROXY_UNREACHABLE || cause == OCI_CAUSE_PROXY_LOGIN ||
	                 cause == OCI_CAUSE_PROXY_REFUSED);
	char sentence[SENTENCE_SIZE];

	if (of_proxy)
		say_proxy(failure, cause, why, sentence);
	else if (cause == OCI_CAUSE_TLS_UNTRUSTED || cause == OCI_CAUSE_TLS_INTERCEPTED ||
	         cause == OCI_CAUSE_TLS_WRONG_NAME)
		say_distrust(failure, cause, why, sentence);
	else
		(void)snprintf(sentence, sizeof(sentence), "%s%s", why, hint_of(cause));
	(void)err_set(err, cause == OCI_CAUSE_PROXY_LOGIN ? ERR_AUTH : ERR_NETWORK, "%s%s%s%s: %s",
	              who, proxy && !of_proxy ? " " : "",
	              !proxy || of_proxy     ? ""
	              : is_at_proxy(failure) ? "at the proxy "
	                                     : "through the proxy ",
	              proxy && !of_proxy ? proxy->name : "", sentence);
	return err_cause(err, cause);
}
