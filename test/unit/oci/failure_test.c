/* What libcurl, OpenSSL and the kernel say of a failure, and what is made of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/x509.h>

#include "base/cleanup.h"
#include "oci/failure.h"
#include "oci/transport.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define ALERT      "OpenSSL SSL_read: error:0A000000:SSL routines::tlsv13 alert "

DEFINE_CLEANUP(cleanup_connector, struct connector, connector_free);

enum way { DIRECT, HTTP, HTTPS, SOCKS };

static const struct row {
	enum way way;
	struct failure failure;
	enum oci_cause cause;
} rows[] = {
	{ DIRECT, { .code = CURLE_COULDNT_RESOLVE_HOST }, OCI_CAUSE_HOST_UNKNOWN },
	{ HTTP, { .code = CURLE_COULDNT_RESOLVE_PROXY }, OCI_CAUSE_PROXY_UNREACHABLE },
	{ DIRECT,
	  { .code = CURLE_COULDNT_CONNECT, .os_errno = ECONNREFUSED, .looked_up = true },
	  OCI_CAUSE_REFUSED },
	{ DIRECT,
	  { .code = CURLE_COULDNT_CONNECT, .os_errno = EHOSTUNREACH },
	  OCI_CAUSE_UNREACHABLE },
	{ DIRECT,
	  { .code = CURLE_COULDNT_CONNECT, .os_errno = ENETUNREACH },
	  OCI_CAUSE_UNREACHABLE },
	{ DIRECT,
	  { .code = CURLE_COULDNT_CONNECT, .os_errno = ETIMEDOUT },
	  OCI_CAUSE_CONNECT_TIMEOUT },
	{ HTTP,
	  { .code = CURLE_COULDNT_CONNECT, .os_errno = ECONNREFUSED },
	  OCI_CAUSE_PROXY_UNREACHABLE },
	{ DIRECT, { .code = CURLE_OPERATION_TIMEDOUT }, OCI_CAUSE_HOST_UNKNOWN },
	{ DIRECT,
	  { .code = CURLE_OPERATION_TIMEDOUT, .looked_up = true },
	  OCI_CAUSE_CONNECT_TIMEOUT },
	{ DIRECT,
	  { .code = CURLE_OPERATION_TIMEDOUT, .looked_up = true, .connected = true },
	  OCI_CAUSE_STALLED },
	{ HTTP,
	  { .code = CURLE_OPERATION_TIMEDOUT, .looked_up = true },
	  OCI_CAUSE_PROXY_UNREACHABLE },
	{ DIRECT, { .code = CURLE_GOT_NOTHING, .connected = true }, OCI_CAUSE_BROKEN_OFF },
	{ DIRECT, { .code = CURLE_PARTIAL_FILE, .connected = true }, OCI_CAUSE_BROKEN_OFF },
	{ DIRECT,
	  { .code = CURLE_RECV_ERROR, .text = "Recv failure: Connection reset by peer" },
	  OCI_CAUSE_BROKEN_OFF },
	{ DIRECT, { .code = CURLE_HTTP2_STREAM }, OCI_CAUSE_BROKEN_OFF },
	{ HTTP,
	  { .code = CURLE_RECV_ERROR,
	    .connect_status = 407,
	    .text = "CONNECT tunnel failed, response 407" },
	  OCI_CAUSE_PROXY_LOGIN },
	{ HTTP, { .code = CURLE_COULDNT_CONNECT, .connect_status = 403 }, OCI_CAUSE_PROXY_REFUSED },
	{ HTTP, { .code = CURLE_RECV_ERROR, .connect_status = 502 }, OCI_CAUSE_PROXY_REFUSED },
	{ HTTP, { .code = CURLE_RECV_ERROR, .connect_status = 200 }, OCI_CAUSE_BROKEN_OFF },
	{ SOCKS,
	  { .code = CURLE_PROXY, .proxy_code = CURLPX_USER_REJECTED },
	  OCI_CAUSE_PROXY_LOGIN },
	{ SOCKS,
	  { .code = CURLE_PROXY, .proxy_code = CURLPX_REPLY_NOT_ALLOWED },
	  OCI_CAUSE_PROXY_REFUSED },
	{ SOCKS,
	  { .code = CURLE_PROXY, .proxy_code = CURLPX_REPLY_CONNECTION_REFUSED },
	  OCI_CAUSE_REFUSED },
	{ SOCKS,
	  { .code = CURLE_PROXY, .proxy_code = CURLPX_REPLY_HOST_UNREACHABLE },
	  OCI_CAUSE_UNREACHABLE },
	{ DIRECT,
	  { .code = CURLE_PEER_FAILED_VERIFICATION,
	    .verify_result = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
	  OCI_CAUSE_TLS_UNTRUSTED },
	{ DIRECT,
	  { .code = CURLE_PEER_FAILED_VERIFICATION,
	    .verify_result = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN },
	  OCI_CAUSE_TLS_UNTRUSTED },
	{ HTTP,
	  { .code = CURLE_PEER_FAILED_VERIFICATION,
	    .connect_status = 200,
	    .verify_result = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN },
	  OCI_CAUSE_TLS_INTERCEPTED },
	{ HTTPS,
	  { .code = CURLE_PEER_FAILED_VERIFICATION,
	    .proxy_verify_result = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN },
	  OCI_CAUSE_TLS_UNTRUSTED },
	{ HTTPS,
	  { .code = CURLE_PEER_FAILED_VERIFICATION,
	    .connect_status = 200,
	    .verify_result = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN },
	  OCI_CAUSE_TLS_INTERCEPTED },
	{ DIRECT,
	  { .code = CURLE_PEER_FAILED_VERIFICATION, .verify_result = X509_V_ERR_CERT_HAS_EXPIRED },
	  OCI_CAUSE_TLS_EXPIRED },
	{ DIRECT,
	  { .code = CURLE_PEER_FAILED_VERIFICATION,
	    .verify_result = X509_V_ERR_CERT_NOT_YET_VALID },
	  OCI_CAUSE_TLS_NOT_YET_VALID },
	{ DIRECT, { .code = CURLE_PEER_FAILED_VERIFICATION }, OCI_CAUSE_TLS_WRONG_NAME },
	{ DIRECT,
	  { .code = CURLE_SSL_CONNECT_ERROR,
	    .text = "error:0A00010B:SSL routines::wrong version number" },
	  OCI_CAUSE_TLS_PLAIN_HTTP },
	{ DIRECT,
	  { .code = CURLE_RECV_ERROR, .text = ALERT "certificate required" },
	  OCI_CAUSE_TLS_CLIENT_CERT },
	{ DIRECT,
	  { .code = CURLE_SSL_CONNECT_ERROR, .text = ALERT "unknown ca" },
	  OCI_CAUSE_TLS_CLIENT_CERT },
	{ DIRECT,
	  { .code = CURLE_SEND_ERROR, .text = ALERT "bad certificate" },
	  OCI_CAUSE_TLS_CLIENT_CERT },
	{ DIRECT,
	  { .code = CURLE_SSL_CONNECT_ERROR, .text = ALERT "handshake failure" },
	  OCI_CAUSE_TLS_HANDSHAKE },
	{ DIRECT,
	  { .code = CURLE_SSL_CONNECT_ERROR, .text = "unsupported protocol" },
	  OCI_CAUSE_TLS_HANDSHAKE },
	{ DIRECT,
	  { .code = CURLE_SSL_CONNECT_ERROR,
	    .text = "OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to h:443" },
	  OCI_CAUSE_BROKEN_OFF },
	{ DIRECT, { .code = CURLE_OUT_OF_MEMORY }, OCI_CAUSE_NONE },
};

static struct connector *make_connector(void)
{
	const struct transport_settings settings = { .registry_url = "https://h" };
	struct connector *connector;
	struct err err;

	connector = connector_new(&settings, &err);
	assert_non_null(connector);
	return connector;
}

static void finds_causes(void **state)
{
	CLEANUP(cleanup_connector) struct connector *connector = make_connector();

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		const struct proxy proxy = {
			.kind = rows[i].way == HTTPS   ? PROXY_HTTPS
			        : rows[i].way == SOCKS ? PROXY_SOCKS5
			                               : PROXY_HTTP,
			.name = "p:3128",
		};
		const struct connection connection = {
			.connector = connector,
			.proxy = rows[i].way == DIRECT ? NULL : &proxy,
			.peer = { .issuer = "CN=Corporate" },
		};
		struct failure failure = rows[i].failure;
		struct err err;

		failure.connection = &connection;
		if (!failure.text)
			failure.text = "";
		if (failure_cause(&failure) != rows[i].cause)
			fail_msg("row %zu: cause %d instead of %d", i, failure_cause(&failure),
			         rows[i].cause);
		assert_int_equal(failure_set(&failure, "h", &err), -1);
		assert_int_equal(err.cause, rows[i].cause);
		assert_int_equal(err.kind,
		                 rows[i].cause == OCI_CAUSE_PROXY_LOGIN ? ERR_AUTH : ERR_NETWORK);
		assert_int_equal(!strstr(err.msg, "p:3128"), rows[i].way == DIRECT);
	}
}

static void says_what_an_operator_needs(void **state)
{
	static const struct proxy open_proxy = { .kind = PROXY_HTTP, .name = "p:3128" };
	static char login[] = "user:hunter2";
	static const struct proxy login_proxy = { .kind = PROXY_HTTP,
		                                  .name = "p:3128",
		                                  .login = login };
	static const struct {
		const struct proxy *proxy;
		struct failure failure;
		const char *says;
	} sentences[] = {
		{ NULL,
		  { .code = CURLE_PEER_FAILED_VERIFICATION, .text = "why", .verify_result = 20 },
		  "h: why; its issuer is \"CN=Corporate\" (is a CA to trust missing?)" },
		{ &open_proxy,
		  { .code = CURLE_PEER_FAILED_VERIFICATION,
		    .text = "why",
		    .verify_result = 20,
		    .connect_status = 200 },
		  "h through the proxy p:3128: why; its issuer is \"CN=Corporate\" (a proxy that "
		  "opens TLS? Then its CA is to be trusted)" },
		{ NULL,
		  { .code = CURLE_PEER_FAILED_VERIFICATION, .text = "why" },
		  "h: why; the certificate is for: a.example.com, 10.0.0.1" },
		{ &open_proxy,
		  { .code = CURLE_RECV_ERROR, .text = "why", .connect_status = 407 },
		  "h: the proxy p:3128 wants a login, and its address names no USER:PASSWORD@" },
		{ &login_proxy,
		  { .code = CURLE_RECV_ERROR, .text = "why", .connect_status = 407 },
		  "h: the proxy p:3128 refuses the username and password of its address" },
		{ &login_proxy,
		  { .code = CURLE_RECV_ERROR, .text = "why", .connect_status = 403 },
		  "h: the proxy p:3128 refuses to connect: why" },
		{ &login_proxy,
		  { .code = CURLE_COULDNT_CONNECT, .text = "why", .os_errno = ECONNREFUSED },
		  "h: the proxy p:3128 can't be reached: Connection refused" },
		{ NULL,
		  { .code = CURLE_COULDNT_CONNECT, .text = "", .os_errno = ECONNREFUSED },
		  "h: Couldn't connect to server" },
	};
	CLEANUP(cleanup_connector) struct connector *connector = make_connector();

	(void)state;
	for (size_t i = 0; i < LEN(sentences); i++) {
		const struct connection connection = {
			.connector = connector,
			.proxy = sentences[i].proxy,
			.peer = { .issuer = "CN=Corporate", .names = "a.example.com, 10.0.0.1" },
		};
		struct failure failure = sentences[i].failure;
		struct err err;

		failure.connection = &connection;
		(void)failure_set(&failure, "h", &err);
		assert_string_equal(err.msg, sentences[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_causes),
		cmocka_unit_test(says_what_an_operator_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
