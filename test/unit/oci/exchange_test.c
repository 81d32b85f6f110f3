/* What of an answer is taken, and what an answer that isn't the wanted one says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/answer.h"
#include "oci/error_body.h"
#include "oci/exchange.h"
#include "oci/limits.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static int line(struct exchange *exchange, const char *text)
{
	return exchange_take_line(exchange, text, strlen(text));
}

static void keeps_the_last_answers_headers(void **state)
{
	static const char *const lines[] = {
		"HTTP/1.1 103 Early Hints\r\n",
		"A: early\r\n",
		"\r\n",
		"HTTP/1.1 200 OK\r\n",
		"a:  one \t\r\n",
		"A: two\r\n",
		"HTTP/1.1 500 x\r\n",
		"no colon\r\n",
		"\r\n",
		"A: trailer\r\n",
	};
	CLEANUP(exchange_release) struct exchange exchange = { .size = EXCHANGE_ANY_SIZE };

	(void)state;
	for (size_t i = 0; i < LEN(lines); i++)
		assert_int_equal(line(&exchange, lines[i]), 0);
	assert_string_equal(exchange_header(&exchange, "A", 0), "one");
	assert_string_equal(exchange_header(&exchange, "a", 1), "two");
	assert_null(exchange_header(&exchange, "a", 2));
	assert_null(exchange_header(&exchange, "no", 0));
}

static void bounds_headers(void **state)
{
	CLEANUP(exchange_release) struct exchange exchange = { .size = EXCHANGE_ANY_SIZE };
	int lines = 0;

	(void)state;
	/* Each a new answer: what was forgotten counts as well. */
	while (!line(&exchange, "HTTP/1.1 100 Continue\r\n") && !line(&exchange, "\r\n"))
		assert_true(++lines < LIMIT_HEADER_BYTES);
	assert_int_equal(exchange.failed, -1);
	assert_int_equal(exchange.err.kind, ERR_LIMIT);
}

static void bounds_bodies(void **state)
{
	static const struct {
		long status;
		int64_t size, length;
		size_t max, sent;
		enum err_kind kind;
		bool enough;
	} rows[] = {
		{ 200, EXCHANGE_ANY_SIZE, -1, 10, 10, ERR_NONE, false },
		{ 200, EXCHANGE_ANY_SIZE, -1, 10, 11, ERR_LIMIT, false },
		{ 200, 10, 10, 0, 10, ERR_NONE, false },
		{ 200, 10, -1, 0, 10, ERR_NONE, false },
		{ 200, 10, 11, 0, 1, ERR_DIGEST, false },
		{ 200, 10, 0, 0, 0, ERR_DIGEST, false },
		{ 200, 10, -1, 0, 11, ERR_DIGEST, false },
		{ 200, 10, 10, 0, 9, ERR_NETWORK, false },
		{ 200, 10, -1, 0, 0, ERR_NETWORK, false },
		{ 404, 10, 9, 0, 9, ERR_NONE, false },
		{ 500, 10, -1, 0, LIMIT_ERROR_BYTES + 1, ERR_NONE, true },
	};
	static const char bytes[LIMIT_ERROR_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(exchange_release)
		struct exchange exchange = {
			.method = EXCHANGE_GET,
			.size = rows[i].size,
			.max_bytes = rows[i].size < 0 ? rows[i].max : (size_t)rows[i].size,
		};

		if (!rows[i].sent || !exchange_take_body(&exchange, rows[i].status, rows[i].length,
		                                         bytes, rows[i].sent))
			exchange_end(&exchange, rows[i].status, rows[i].length);
		assert_int_equal(exchange.failed ? exchange.err.kind : ERR_NONE, rows[i].kind);
		assert_int_equal(exchange.enough, rows[i].enough);
		assert_true(exchange.body.size <= LIMIT_ERROR_BYTES);
	}
}

static void reads_error_bodies(void **state)
{
	static const struct {
		const char *body, *text;
	} rows[] = {
		{ "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\\nway\",\"detail\":{}}]}",
		  "DENIED: no\nway" },
		{ "{\"errors\":[{\"code\":\"DENIED\"}]}", "DENIED" },
		{ "{\"errors\":[{\"message\":\"m\"}]}", "m" },
		{ "{\"error\":\"invalid_grant\",\"error_description\":\"d\"}", "invalid_grant: d" },
		{ "{\"details\":\"incorrect username or password\"}",
		  "incorrect username or password" },
		{ "Client sent an HTTP request to an HTTPS server.\n",
		  "Client sent an HTTP request to an HTTPS server." },
		{ "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>Request has "
		  "expired &amp; more</Message><RequestId>7</RequestId></Error>",
		  "AccessDenied: Request has expired & more" },
		{ "<Error><Code>SlowDown</Code></Error>", "SlowDown" },
		{ "<Error><Message>alone</Message></Error>", "" },
		{ "<Error><Code><b>AccessDenied</b></Code></Error>", "" },
		{ "{\"errors\":[]}", "" },
		{ "{\"errors\":[7]}", "" },
		{ "{\"errors\":null}", "" },
		{ "[]", "" },
		{ "<html><body>502</body></html>", "" },
		{ "two\nlines", "" },
		{ "\x01\x02", "" },
		{ "", "" },
	};
	char out[ERROR_BODY_SIZE];
	char longest[2000];

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		assert_string_equal(error_body_format(rows[i].body, strlen(rows[i].body), out),
		                    rows[i].text);
	(void)snprintf(longest, sizeof(longest), "{\"errors\":[{\"code\":\"%0500d\"}]}", 0);
	assert_true(strlen(error_body_format(longest, strlen(longest), out)) < 50);
	(void)snprintf(longest, sizeof(longest), "<Code>%0500d</Code><Message>%0900d</Message>", 0,
	               0);
	assert_true(strlen(error_body_format(longest, strlen(longest), out)) < sizeof(out));
}

static const struct refusal {
	long status;
	bool foreign;
	const char *body, *says;
	enum err_kind kind;
	enum oci_cause cause;
} refusals[] = {
	{ 401, false,
	  "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication "
	  "required\"}]}",
	  "401 from the registry: UNAUTHORIZED: authentication required; check", ERR_AUTH,
	  OCI_CAUSE_LOGIN_REFUSED },
	{ 401, true, "", "401 from s3.example.com (redirected): authentication", ERR_NETWORK,
	  OCI_CAUSE_NONE },
	{ 403, false, "", "403 from the registry: access denied; check", ERR_AUTH,
	  OCI_CAUSE_NO_RIGHT },
	{ 403, true, "", "403 from s3.example.com (redirected): access denied", ERR_NETWORK,
	  OCI_CAUSE_NONE },
	{ 407, false, "", "407 from the registry: the proxy wants a login", ERR_AUTH,
	  OCI_CAUSE_PROXY_LOGIN },
	{ 412, false, "", "412 from the registry: a policy of the registry forbids it", ERR_AUTH,
	  OCI_CAUSE_POLICY },
	{ 404, false, "<html>", "404 from the registry: not found, and the answer is none",
	  ERR_NOT_FOUND, OCI_CAUSE_NOT_A_REGISTRY },
	{ 404, false, "404 page not found\n", "404 from the registry: 404 page not found",
	  ERR_NOT_FOUND, OCI_CAUSE_NOT_A_REGISTRY },
	{ 404, false, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}",
	  "404 from the registry: NAME_UNKNOWN", ERR_NOT_FOUND, OCI_CAUSE_REPOSITORY_UNKNOWN },
	{ 404, false, "{\"errors\":[{\"code\":\"NAME_UNKNOWN_TO_US\"}]}",
	  "404 from the registry: NAME_UNKNOWN_TO_US", ERR_NOT_FOUND, OCI_CAUSE_CONTENT_GONE },
	{ 404, false, "{\"errors\":[{\"code\":\"BLOB_UNKNOWN\",\"message\":\"gone\"}]}",
	  "404 from the registry: BLOB_UNKNOWN: gone", ERR_NOT_FOUND, OCI_CAUSE_CONTENT_GONE },
	{ 404, true, "<?xml", "404 from s3.example.com (redirected): not found", ERR_LOST,
	  OCI_CAUSE_CONTENT_GONE },
	{ 429, false, "", "429 from the registry: too many requests", ERR_NETWORK,
	  OCI_CAUSE_RATE_LIMITED },
	{ 503, false, "", "503 from the registry: the server failed", ERR_NETWORK,
	  OCI_CAUSE_SERVER_FAILED },
	{ 400, false, "", "400 from the registry: unexpected answer", ERR_FORMAT, OCI_CAUSE_NONE },
	{ 400, false, "<html><title>400 No required SSL certificate was sent</title></html>",
	  "400 from the registry: it wants a client certificate", ERR_FORMAT,
	  OCI_CAUSE_TLS_CLIENT_CERT },
	{ 400, false, "<html><title>400 The SSL certificate error</title></html>",
	  "400 from the registry: it wants a client certificate", ERR_FORMAT,
	  OCI_CAUSE_TLS_CLIENT_CERT },
	{ 204, false, "", "204 from the registry: unexpected answer", ERR_FORMAT, OCI_CAUSE_NONE },
};

static void names_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(refusals); i++) {
		CLEANUP(exchange_release)
		struct exchange exchange = {
			.url = "https://h/v2/a/manifests/1",
			.status = refusals[i].status,
			.foreign = refusals[i].foreign,
			.host = "s3.example.com",
			.body = BUF_INIT(1000),
		};
		const struct answer_hint hint = { "check it", OCI_CAUSE_LOGIN_REFUSED };
		struct err err;

		assert_int_equal(
			buf_add(&exchange.body, refusals[i].body, strlen(refusals[i].body), &err),
			0);
		assert_int_equal(answer_refuse(&exchange, "the registry", hint, &err), -1);
		assert_int_equal(err.kind, refusals[i].kind);
		assert_int_equal(err.cause, refusals[i].cause);
		assert_int_equal(strncmp(err.msg, refusals[i].says, strlen(refusals[i].says)), 0);
	}
}

/* Some servers show the request in their errors. */
static void hides_what_authorization_said(void **state)
{
	static const struct {
		long status;
		const char *authorization, *body, *kept, *secret;
	} rows[] = {
		{ 400, NULL,
		  "grant of a&b/c=: a%26b%2Fc%3D, a%26b%2fc=, a\\u0026b\\/c=, a\\u0026b/",
		  "grant of ******: ************, **********, ************, a\\u0026b/", "a&b/c=" },
		{ 401, "Basic dTpw", "dTpw or refresh", "**** or *******", "refresh" },
		{ 200, NULL, "a token that stays", "a token that stays", "token" },
		{ 400, "Bearer a.b/c", "you sent a.b/c, twice: a.b/ca.b/c",
		  "you sent *****, twice: **********", NULL },
		{ 403, "Basic dTpw/w==", "\"Basic dTpw\\/w==\"", "\"Basic *********\"", NULL },
		{ 401, "raw-token", "raw-toke raw-token", "raw-toke *********", NULL },
		{ 500, "Bearer abab", "aabab", "a****", NULL },
		{ 404, NULL, "nothing to hide", "nothing to hide", NULL },
		{ 404, "Bearer ", "nothing to hide", "nothing to hide", NULL },
		{ 200, "Bearer a", "a manifest stays as it is", "a manifest stays as it is", NULL },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(exchange_release)
		struct exchange exchange = {
			.authorization = rows[i].authorization,
			.secret = rows[i].secret,
			.size = EXCHANGE_ANY_SIZE,
			.max_bytes = 1000,
		};
		size_t size = strlen(rows[i].body);

		assert_int_equal(
			exchange_take_body(&exchange, rows[i].status, -1, rows[i].body, size), 0);
		exchange_end(&exchange, rows[i].status, -1);
		assert_string_equal(buf_text(&exchange.body), rows[i].kept);
	}
}

/* What a 404 is worth depends on what was asked, and on who answers. */
static void tells_absences_apart(void **state)
{
	static const struct {
		enum exchange_method method;
		const char *url, *header;
		enum oci_cause cause;
	} rows[] = {
		{ EXCHANGE_GET, "https://h/v2/a/tags/list?n=1000", "Server: x",
		  OCI_CAUSE_NOT_A_REGISTRY },
		{ EXCHANGE_GET, "https://h/v2/a/tags/list?n=1000",
		  "docker-distribution-api-version: registry/2.0", OCI_CAUSE_REPOSITORY_UNKNOWN },
		{ EXCHANGE_GET, "https://h/v2/a/blobs/x",
		  "docker-distribution-api-version: registry/2.0", OCI_CAUSE_CONTENT_GONE },
		{ EXCHANGE_HEAD, "https://h/v2/a/manifests/1", "Server: x",
		  OCI_CAUSE_CONTENT_GONE },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(exchange_release)
		struct exchange exchange = { .method = rows[i].method, .url = rows[i].url };
		struct err err;

		assert_int_equal(exchange_take_line(&exchange, "HTTP/1.1 404", 12), 0);
		assert_int_equal(
			exchange_take_line(&exchange, rows[i].header, strlen(rows[i].header)), 0);
		exchange_end(&exchange, 404, 0);
		assert_int_equal(answer_refuse(&exchange, "r",
		                               (struct answer_hint){ "", OCI_CAUSE_NONE }, &err),
		                 -1);
		assert_int_equal(err.cause, rows[i].cause);
	}
}

/* Appends to a buf. */
static int keep(void *ctx, const void *bytes, size_t size, struct err *err)
{
	return buf_add(ctx, bytes, size, err);
}

static void takes_the_rest_of_a_download(void **state)
{
	static const struct {
		long status;
		const char *range; /* Content-Range, or NULL */
		int64_t length;
		const char *body;
		const char *sunk;
		enum err_kind kind;
	} rows[] = {
		/* Of "0123456789" the sink has four. */
		{ 206, "bytes 4-9/10", 6, "456789", "456789", ERR_NONE },
		{ 206, "bytes 4-9/*", -1, "456789", "456789", ERR_NONE },
		{ 206, "Bytes 4-9/10", 6, "456789", "456789", ERR_NONE },
		{ 200, NULL, 10, "0123456789", "456789", ERR_NONE },
		{ 200, NULL, -1, "0123456789", "456789", ERR_NONE },
		{ 206, "bytes 4-9/10", 6, "4567", "4567", ERR_NETWORK },
		{ 206, "bytes 4-9/10", -1, "", "", ERR_NETWORK },
		{ 200, NULL, 10, "01", "", ERR_NETWORK },
		{ 200, NULL, 10, "012345", "45", ERR_NETWORK },
		{ 206, "bytes 0-9/10", 6, "456789", "", ERR_FORMAT },
		{ 206, "bytes 4-8/10", 6, "456789", "", ERR_FORMAT },
		{ 206, "bytes 40-9/10", 6, "456789", "", ERR_FORMAT },
		{ 206, "bytes 4-9/11", 6, "456789", "", ERR_FORMAT },
		{ 206, "bytes 4-9/", 6, "456789", "", ERR_FORMAT },
		{ 206, "bytes */10", 6, "456789", "", ERR_FORMAT },
		{ 206, NULL, 6, "456789", "", ERR_FORMAT },
		{ 206, "bytes 4-9/10", 7, "456789", "", ERR_DIGEST },
		{ 206, "bytes 4-9/10", INT64_MAX, "456789", "", ERR_DIGEST },
		{ 206, "bytes 4-9/10", -1, "456789a", NULL, ERR_DIGEST },
		{ 200, NULL, INT64_MAX, "0123456789", "", ERR_DIGEST },
		{ 200, NULL, 11, "0123456789a", "", ERR_DIGEST },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(buf_release) struct buf sunk = BUF_INIT(100);
		CLEANUP(exchange_release)
		struct exchange exchange = {
			.size = 10,
			.offset = 4,
			.sink = { .write = keep, .ctx = &sunk },
		};
		char header[64];
		int failed = line(&exchange, "HTTP/1.1 2xx\r\n");

		if (rows[i].range) {
			(void)snprintf(header, sizeof(header), "Content-Range: %s\r\n",
			               rows[i].range);
			failed |= line(&exchange, header);
		}
		assert_int_equal(failed | line(&exchange, "\r\n"), 0);
		/* Byte by byte: the seam lies within no piece. */
		for (const char *c = rows[i].body; *c && !failed; c++)
			failed = exchange_take_body(&exchange, rows[i].status, rows[i].length, c,
			                            1);
		if (!failed)
			exchange_end(&exchange, rows[i].status, rows[i].length);
		if ((exchange.failed ? exchange.err.kind : ERR_NONE) != rows[i].kind)
			fail_msg("row %zu: %s", i, exchange.failed ? exchange.err.msg : "taken");
		if (rows[i].sunk && strcmp(buf_text(&sunk), rows[i].sunk) != 0)
			fail_msg("row %zu: \"%s\"", i, buf_text(&sunk));
	}
}

static void lets_the_known_part_go_at_once(void **state)
{
	CLEANUP(buf_release) struct buf sunk = BUF_INIT(100);
	CLEANUP(exchange_release)
	struct exchange exchange = {
		.size = 10,
		.offset = 4,
		.sink = { .write = keep, .ctx = &sunk },
	};

	(void)state;
	assert_int_equal(exchange_take_body(&exchange, 200, 10, "0123456789", 10), 0);
	exchange_end(&exchange, 200, 10);
	assert_int_equal(exchange.failed, 0);
	assert_string_equal(buf_text(&sunk), "456789");
}

static void note_sent(void *ctx, int64_t bytes)
{
	*(int64_t *)ctx = bytes;
}

static void gives_a_part_of_a_file(void **state)
{
	CLEANUP(cleanup_fd) int fd = memfd_create("body", MFD_CLOEXEC);
	int64_t told = -1;
	struct exchange_upload upload = { fd, 2, 6, note_sent, &told };
	struct exchange exchange = { .upload = &upload };
	char bytes[16] = "";
	size_t size;

	(void)state;
	assert_int_equal(write(fd, "0123456789", 10), 10);
	assert_int_equal(exchange_give_body(&exchange, bytes, 4, &size), 0);
	assert_int_equal(size, 4);
	assert_int_equal(exchange_give_body(&exchange, bytes + 4, 10, &size), 0);
	assert_int_equal(size, 2);
	assert_string_equal(bytes, "234567");
	assert_int_equal(told, 6);
	assert_int_equal(exchange_give_body(&exchange, bytes, 4, &size), 0);
	assert_int_equal(size, 0);
	exchange_release(&exchange);
	assert_int_equal(exchange.sent, 0);

	/* A file that has become shorter ends the transfer: less would be sent than was announced.
	 */
	upload.size = 9;
	assert_int_equal(exchange_give_body(&exchange, bytes, 16, &size), 0);
	assert_int_equal(size, 8);
	assert_int_equal(exchange_give_body(&exchange, bytes, 16, &size), -1);
	assert_int_equal(exchange.failed, -1);
	assert_int_equal(exchange.err.kind, ERR_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_last_answers_headers),
		cmocka_unit_test(bounds_headers),
		cmocka_unit_test(bounds_bodies),
		cmocka_unit_test(takes_the_rest_of_a_download),
		cmocka_unit_test(lets_the_known_part_go_at_once),
		cmocka_unit_test(reads_error_bodies),
		cmocka_unit_test(names_errors),
		cmocka_unit_test(hides_what_authorization_said),
		cmocka_unit_test(tells_absences_apart),
		cmocka_unit_test(gives_a_part_of_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
