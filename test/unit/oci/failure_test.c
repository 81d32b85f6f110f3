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

DEFINE_CLEANUP(cleanup_connector, struct connector, connector_free);

enum way { DIRECT, HTTP, HTTPS, SOCKS };

static const struct row {
	enum way way;
	struct failure failure;
	enum oci_cause cause;
	struct peer peer;
} rows[] = {
	{ DIRECT, { .code = CURLE_COULDNT_RESOLVE_HOST }, OCI_CAUSE_HOST_UNKNOWN, { .alert = 0 } },
	{ HTTP,
	  { .code = CURLE_COULDNT_RESOLVE_PROXY },
	  OCI_CAUSE_PROXY_UNREACHABLE,
	  { .alert = 0 } },
	{ DIRECT,
	  { .code = CURLE_COULDNT_CONNECT, .os_errno = ECONNREFUSED, .looked_up = true },
	  OCI_CAUSE_REFUSED,
	  { .alert = 0 } },
	{ DIRECT,
	  { .code = CURLE_COULDNT_CONNECT, .os_errno = EHOSTUNREACH },
	  OCI_CAUSE_UNREACHABLE,
	  { .alert = 0 } },
	{ DIRECT,
	  { .code = CURLE_COULDNT_CONNECT, .os_errno = ENETUNREACH },
	  OCI_CAUSE_UNREACHABLE,
	  { .alert = 0 } },
	{ DIRECT,
	  { .code = CURLE_COULDNT_CONNECT, .os_errno = ETIMEDOUT },
	  OCI_CAUSE_CONNECT_TIMEOUT,
	  { .alert = 0 } },
	{ HTTP,
	  { .code = CURLE_COULDNT_CONNECT, .os_errno = ECONNREFUSED },
	  OCI_CAUSE_PROXY_UNREACHABLE,
	  { .alert = 0 } },
	{ DIRECT, { .code = CURLE_OPERATION_TIMEDOUT }, OCI_CAUSE_HOST_UNKNOWN, { .alert = 0 } },
	{ DIRECT,
	  { .code = CURLE_OPERATION_TIMEDOUT, .looked_up = true },
	  OCI_CAUSE_CONNECT_TIMEOUT,
	  { .alert = 0 } },
	{ DIRECT,
	  { .code = CURLE_OPERATION_TIMEDOUT, .looked_up = true, .connected = true },
	  OCI_CAUSE_STALLED,
	  { .alert = 0 } },
	{ HTTP,
	  { .code = CURLE_OPERATION_TIMEDOUT, .looked_up = true },
	  OCI_CAUSE_PROXY_UNREACHABLE,
	  { .alert = 0 } },
	{ DIRECT,
	  { .code = CURLE_GOT_NOTHING, .connected = true },
	  OCI_CAUSE_BROKEN_OFF,
	  { .alert = 0 } },
	{ DIRECT,
	  { .code = CURLE_PARTIAL_FILE, .connected = true },
	  OCI_CAUSE_BROKEN_OFF,
	  { .alert = 0 } },
	{ DIRECT,
	  { .code = CURLE_RECV_ERROR, .text = "Recv failure: Connection reset by peer" },
	  OCI_CAUSE_BROKEN_OFF,
	  { .alert = 0 } },
	{ DIRECT, { .code = CURLE_HTTP2_STREAM }, OCI_CAUSE_BROKEN_OFF, { .alert = 0 } },
	{ HTTP,
	  { .code = CURLE_RECV_ERROR,
	    .connect_status = 407,
	    .text = "CONNECT tunnel failed, response 407" },
	  OCI_CAUSE_PROXY_LOGIN,
	  { .alert = 0 } },
	{ HTTP,
	  { .code = CURLE_COULDNT_CONNECT, .connect_status = 403 },
	  OCI_CAUSE_PROXY_REFUSED,
	  { .alert = 0 } },
	{ HTTP,
	  { .code = CURLE_RECV_ERROR, .connect_status = 502 },
	  OCI_CAUSE_PROXY_REFUSED,
	  { .alert = 0 } },
	{ HTTP,
	  { .code = CURLE_RECV_ERROR, .connect_status = 200 },
	  OCI_CAUSE_BROKEN_OFF,
	  { .alert = 0 } },
	{ SOCKS,
	  { .code = CURLE_PROXY, .proxy_code = CURLPX_USER_REJECTED },
	  OCI_CAUSE_PROXY_LOGIN,
	  { .alert = 0 } },
	{ SOCKS,
	  { .code = CURLE_PROXY, .proxy_code = CURLPX_REPLY_NOT_ALLOWED },
	  OCI_CAUSE_PROXY_REFUSED,
	  { .alert = 0 } },
	{ SOCKS,
	  { .code = CURLE_PROXY, .proxy_code = CURLPX_REPLY_CONNECTION_REFUSED },
	  OCI_CAUSE_REFUSED,
	  { .alert = 0 } },
	{ SOCKS,
	  { .code = CURLE_PROXY, .proxy_code = CURLPX_REPLY_HOST_UNREACHABLE },
	  OCI_CAUSE_UNREACHABLE,
	  { .alert = 0 } },
	{ DIRECT,
	  { .code = CURLE_PEER_FAILED_VERIFICATION },
	  OCI_CAUSE_TLS_UNTRUSTED,
	  { .verdict = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY } },
	{ HTTP,
	  { .code = CURLE_PEER_FAILED_VERIFICATION, .connect_status = 200 },
	  OCI_CAUSE_TLS_INTERCEPTED,
	  { .verdict = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN } },
	{ HTTPS,
	  { .code = CURLE_PEER_FAILED_VERIFICATION },
	  OCI_CAUSE_TLS_UNTRUSTED,
	  { .verdict = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN } },
	{ HTTPS,
	  { .code = CURLE_PEER_FAILED_VERIFICATION, .connect_status = 200 },
	  OCI_CAUSE_TLS_INTERCEPTED,
	  { .verdict = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN } },
	{ DIRECT,
	  { .code = CURLE_PEER_FAILED_VERIFICATION },
	  OCI_CAUSE_TLS_EXPIRED,
	  { .verdict = X509_V_ERR_CERT_HAS_EXPIRED } },
	{ HTTP,
	  { .code = CURLE_PEER_FAILED_VERIFICATION, .connect_status = 200 },
	  OCI_CAUSE_TLS_NOT_YET_VALID,
	  { .verdict = X509_V_ERR_CERT_NOT_YET_VALID } },
	{ DIRECT,
	  { .code = CURLE_PEER_FAILED_VERIFICATION },
	  OCI_CAUSE_TLS_WRONG_NAME,
	  { .alert = 0 } },
	{ DIRECT,
	  { .code = CURLE_SSL_CONNECT_ERROR,
	    .text = "error:0A00010B:SSL routines::wrong version number" },
	  OCI_CAUSE_TLS_PLAIN_HTTP,
	  { .alert = 0 } },
	{ DIRECT, { .code = CURLE_RECV_ERROR }, OCI_CAUSE_TLS_CLIENT_CERT, { .alert = 116 } },
	{ DIRECT, { .code = CURLE_SEND_ERROR }, OCI_CAUSE_TLS_CLIENT_CERT, { .asked = true } },
	{ DIRECT, { .code = CURLE_GOT_NOTHING }, OCI_CAUSE_TLS_CLIENT_CERT, { .asked = true } },
	{ DIRECT,
	  { .code = CURLE_RECV_ERROR, .answered = true },
	  OCI_CAUSE_BROKEN_OFF,
	  { .asked = true } },
	{ DIRECT, { .code = CURLE_SSL_CONNECT_ERROR }, OCI_CAUSE_TLS_CLIENT_CERT, { .alert = 48 } },
	{ DIRECT, { .code = CURLE_SEND_ERROR }, OCI_CAUSE_TLS_CLIENT_CERT, { .alert = 42 } },
	{ DIRECT, { .code = CURLE_SSL_CONNECT_ERROR }, OCI_CAUSE_TLS_HANDSHAKE, { .alert = 40 } },
	{ DIRECT, { .code = CURLE_SSL_CONNECT_ERROR }, OCI_CAUSE_TLS_HANDSHAKE, { .alert = 70 } },
	{ DIRECT,
	  { .code = CURLE_SSL_CONNECT_ERROR, .text = "unsupported protocol" },
	  OCI_CAUSE_TLS_HANDSHAKE,
	  { .alert = 0 } },
	{ DIRECT,
	  { .code = CURLE_SSL_CONNECT_ERROR,
	    .text = "OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to h:443" },
	  OCI_CAUSE_BROKEN_OFF,
	  { .alert = 0 } },
	{ DIRECT,
	  { .code = CURLE_UNSUPPORTED_PROTOCOL },
	  OCI_CAUSE_NOT_A_REGISTRY,
	  { .alert = 0 } },
	{ DIRECT, { .code = CURLE_WEIRD_SERVER_REPLY }, OCI_CAUSE_NOT_A_REGISTRY, { .alert = 0 } },
	{ HTTP,
	  { .code = CURLE_RECV_ERROR, .connect_status = 401 },
	  OCI_CAUSE_PROXY_LOGIN,
	  { .alert = 0 } },
	{ DIRECT, { .code = CURLE_OUT_OF_MEMORY }, OCI_CAUSE_NONE, { .alert = 0 } },
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
			.peer = rows[i].peer,
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

static const struct proxy open_proxy = { .kind = PROXY_HTTP, .name = "p:3128" };
static char login[] = "user:hunter2";
static const struct proxy login_proxy = { .kind = PROXY_HTTP, .name = "p:3128", .login = login };
static const struct sentence {
	const struct proxy *proxy;
	struct failure failure;
	const char *says;
	int verdict, alert;
} sentences[] = {
	{ NULL,
	  { .code = CURLE_PEER_FAILED_VERIFICATION, .text = "why" },
	  "h: why; its issuer is \"CN=Corporate\" (is a CA to trust missing?)",
	  20,
	  0 },
	{ &open_proxy,
	  { .code = CURLE_PEER_FAILED_VERIFICATION, .text = "why", .connect_status = 200 },
	  "h through the proxy p:3128: why; its issuer is \"CN=Corporate\" (a proxy that "
	  "opens TLS? Then its CA is to be trusted)",
	  20,
	  0 },
	{ NULL,
	  { .code = CURLE_PEER_FAILED_VERIFICATION, .text = "why" },
	  "h: why; the certificate is for: a.example.com, 10.0.0.1",
	  0,
	  0 },
	{ &open_proxy,
	  { .code = CURLE_RECV_ERROR, .text = "why", .connect_status = 407 },
	  "h: the proxy p:3128 wants a login, and its address names no USER:PASSWORD@",
	  0,
	  0 },
	{ &login_proxy,
	  { .code = CURLE_RECV_ERROR, .text = "why", .connect_status = 407 },
	  "h: the proxy p:3128 refuses the username and password of its address",
	  0,
	  0 },
	{ &login_proxy,
	  { .code = CURLE_RECV_ERROR, .text = "why", .connect_status = 403 },
	  "h: the proxy p:3128 refuses to connect: why",
	  0,
	  0 },
	{ &login_proxy,
	  { .code = CURLE_COULDNT_CONNECT, .text = "why", .os_errno = ECONNREFUSED },
	  "h: the proxy p:3128 can't be reached: Connection refused",
	  0,
	  0 },
	{ NULL,
	  { .code = CURLE_RECV_ERROR, .text = "why" },
	  "h: it ended TLS with alert 116 (it wants a client certificate, or another one)",
	  0,
	  116 },
	{ NULL,
	  { .code = CURLE_COULDNT_CONNECT, .text = "", .os_errno = ECONNREFUSED },
	  "h: Couldn't connect to server",
	  0,
	  0 },
};

static void says_what_an_operator_needs(void **state)
{
	CLEANUP(cleanup_connector) struct connector *connector = make_connector();

	(void)state;
	for (size_t i = 0; i < LEN(sentences); i++) {
		const struct connection connection = {
			.connector = connector,
			.proxy = sentences[i].proxy,
			.peer = { .verdict = sentences[i].verdict,
			          .alert = sentences[i].alert,
			          .issuer = "CN=Corporate",
			          .names = "a.example.com, 10.0.0.1" },
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
