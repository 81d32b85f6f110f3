/* Requests without an answer; see failure.h. */
#include "oci/failure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

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
	long status = 0;

	(void)curl_easy_getinfo(easy, CURLINFO_PROXY_ERROR, &proxy_code);
	(void)curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &failure.os_errno);
	(void)curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &failure.connect_status);
	(void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &looked_up_us);
	(void)curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected_us);
	failure.proxy_code = (CURLproxycode)proxy_code;
	failure.looked_up = looked_up_us > 0;
	/* libcurl's time is that of the whole way, TLS and tunnel included. */
	failure.connected = connected_us > 0 || connection->peer.begun;
	failure.answered = status > 0;
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
	switch (failure->connection->peer.verdict) {
	case X509_V_OK: /* libcurl itself compares the names, after OpenSSL */
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return OCI_CAUSE_TLS_WRONG_NAME;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return OCI_CAUSE_TLS_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return OCI_CAUSE_TLS_NOT_YET_VALID;
	case X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM: /* not approved: base/fips.h */
		return OCI_CAUSE_TLS_HANDSHAKE;
	default:
		return proxy_of(failure) && !is_at_proxy(failure) ? OCI_CAUSE_TLS_INTERCEPTED
		                                                  : OCI_CAUSE_TLS_UNTRUSTED;
	}
}

/* RFC 8446, section 6.2, and RFC 5246, section 7.2.2. */
static enum oci_cause cause_of_alert(int alert)
{
	switch (alert) {
	case 0:
		return OCI_CAUSE_NONE;
	case SSL3_AD_NO_CERTIFICATE:
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
	case SSL_AD_CERTIFICATE_REQUIRED:
		return OCI_CAUSE_TLS_CLIENT_CERT;
	default:
		return OCI_CAUSE_TLS_HANDSHAKE;
	}
}

/* In the words of libssl's table of reasons and of libcurl: neither hands a number on. */
static bool has_words(const char *text, const char *const words[])
{
	for (; *words; words++) {
		if (strstr(text, *words))
			return true;
	}
	return false;
}

/*
 * The alert of a server that doesn't like the client's certificate is lost when it
 * ends the connection before the question is sent. That it asked for one is not.
 */
static enum oci_cause cause_of_break(const struct failure *failure)
{
	return failure->connection->peer.asked && !failure->answered ? OCI_CAUSE_TLS_CLIENT_CERT
	                                                             : OCI_CAUSE_BROKEN_OFF;
}

static enum oci_cause cause_of_handshake(const struct failure *failure)
{
	static const char *const no_tls[] = { "wrong version number", "packet length too long",
		                              "http request", NULL };
	static const char *const ended[] = { "SSL_ERROR_SYSCALL", "unexpected eof", "reset by peer",
		                             NULL };

	if (has_words(failure->text, no_tls))
		return OCI_CAUSE_TLS_PLAIN_HTTP;
	return has_words(failure->text, ended) ? cause_of_break(failure) : OCI_CAUSE_TLS_HANDSHAKE;
}

enum oci_cause failure_cause(const struct failure *failure)
{
	enum oci_cause cause;

	/* Whatever libcurl's code for it: it has changed with time. tinyproxy says 401. */
	if (failure->connect_status == 407 || failure->connect_status == 401)
		return OCI_CAUSE_PROXY_LOGIN;
	if (failure->connect_status >= 300)
		return OCI_CAUSE_PROXY_REFUSED;
	/* With TLS 1.3 a server judges the client's certificate after the handshake. */
	cause = cause_of_alert(failure->connection->peer.alert);
	if (cause)
		return cause;
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
		return cause_of_handshake(failure);
	case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9: whatever it is, it is no HTTP */
	case CURLE_WEIRD_SERVER_REPLY:
		return OCI_CAUSE_NOT_A_REGISTRY;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return cause_of_break(failure);
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
	else if (failure->code == CURLE_OPERATION_TIMEDOUT)
		(void)snprintf(out, SENTENCE_SIZE, "the proxy %s doesn't answer: %s", proxy->name,
		               why);
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
	else if (failure->connection->peer.alert)
		(void)snprintf(sentence, sizeof(sentence), "it ended TLS with alert %d%s",
		               failure->connection->peer.alert, hint_of(cause));
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
