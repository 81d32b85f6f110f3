/* How long a registry is listened to: it is there, and answers slowly or without end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/limits.h"
#include "oci/remote.h"
#include "server_fixture.h"

struct fixture {
	struct server server;
	struct cancel *cancel;
	struct source source;
	struct remote *remote;
};

static void begin(struct fixture *f, int idle_s,
                  void (*answer)(int fd, unsigned number, const char *request))
{
	struct oci_settings settings = { .plain_http = true, .idle_s = idle_s };
	struct err err;

	server_start(&f->server, answer);
	(void)snprintf(settings.reference.host, sizeof(settings.reference.host), "%s",
	               f->server.host);
	(void)snprintf(settings.reference.name, sizeof(settings.reference.name), "a/b");
	f->cancel = cancel_new(&err);
	assert_non_null(f->cancel);
	assert_int_equal(remote_open(&settings, f->cancel, &f->source, &err), 0);
	f->remote = f->source.self;
}

static void end(struct fixture *f)
{
	f->source.ops->free(f->source.self);
	server_stop(&f->server);
	cancel_free(f->cancel);
}

/* ---- blobs ---- */

/* Bytes one by one, slower than anything that is of use, until the client has had enough. */
static void drip(int fd, unsigned number, const char *request)
{
	(void)number;
	(void)request;
	(void)server_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n");
	for (int i = 0; i < 600 && server_say(fd, "x") && !server_waits(fd, 50); i++)
		;
}

static void start_and_stop(int fd, unsigned number, const char *request)
{
	(void)number;
	(void)request;
	(void)server_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nx");
	(void)server_waits(fd, 60000);
}

static int drop(void *ctx, const void *bytes, size_t size, struct err *err)
{
	(void)ctx;
	(void)bytes;
	(void)size;
	(void)err;
	return 0;
}

static void ask(struct fixture *f, struct exchange *exchange)
{
	char url[64];

	(void)snprintf(url, sizeof(url), "http://%s/", f->server.host);
	exchange->url = url;
	exchange->sink = (struct oci_sink){ .write = drop };
	transport_ask(f->remote->transport, exchange);
	exchange->url = NULL;
}

static void what_drips_counts_as_silent(void **state)
{
	struct exchange exchange = { .size = 1 << 20 };
	struct fixture f;

	(void)state;
	begin(&f, 2, drip);
	ask(&f, &exchange);
	assert_int_equal(exchange.failed, -1);
	assert_int_equal(exchange.err.cause, OCI_CAUSE_STALLED);
	assert_non_null(strstr(exchange.err.msg, "too slow"));
	exchange_release(&exchange);
	end(&f);
}

/* As signatures are: with a size, and held in memory. */
static void a_small_blob_has_a_time_as_a_whole(void **state)
{
	struct exchange exchange = { .size = 3, .answer_ms = 1500 };
	struct fixture f;

	(void)state;
	begin(&f, 5, start_and_stop);
	ask(&f, &exchange);
	assert_int_equal(exchange.failed, -1);
	assert_int_equal(exchange.err.cause, OCI_CAUSE_STALLED);
	assert_non_null(strstr(exchange.err.msg, "timed out"));
	exchange_release(&exchange);
	end(&f);
}

/* ---- tags ---- */

static void give_page(int fd, unsigned number, const char *request)
{
	char text[512];

	(void)request;
	(void)snprintf(text, sizeof(text),
	               "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n"
	               "Link: </v2/a/b/tags/list?last=%u>; rel=\"next\"\r\n\r\n{\"tags\":[]}",
	               number);
	(void)server_say(fd, text);
}

static void a_list_has_a_time_as_a_whole(void **state)
{
	struct oci_tags tags;
	struct fixture f;
	struct err err;

	(void)state;
	begin(&f, 60, give_page);
	f.remote->list_ms = 1;
	assert_int_equal(f.source.ops->tags(f.source.self, &tags, &err), -1);
	assert_int_equal(err.kind, ERR_NETWORK);
	assert_int_equal(err.cause, OCI_CAUSE_STALLED);
	end(&f);
}

/* ---- digests ---- */

enum { TAGS = 100 };

/* Else a registry that hangs would be waited for with each sixteen of some thousand tags. */
static void a_registry_that_is_silent_is_given_up(void **state)
{
	static struct oci_resolved resolved[TAGS];
	char name[] = "1.0.0", *tags[TAGS];
	unsigned not_asked = 0;
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < TAGS; i++)
		tags[i] = name;
	begin(&f, 1, NULL);
	f.source.ops->resolve(f.source.self, tags, TAGS, resolved);
	for (size_t i = 0; i < TAGS; i++) {
		assert_int_equal(resolved[i].failed, -1);
		assert_int_equal(resolved[i].err.kind, ERR_NETWORK);
		assert_int_equal(resolved[i].err.cause, OCI_CAUSE_STALLED);
		not_asked += strstr(resolved[i].err.msg, "not asked") != NULL;
	}
	assert_in_range(not_asked, TAGS - 2 * LIMIT_PARALLEL + 1, TAGS - LIMIT_PARALLEL);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_drips_counts_as_silent),
		cmocka_unit_test(a_small_blob_has_a_time_as_a_whole),
		cmocka_unit_test(a_list_has_a_time_as_a_whole),
		cmocka_unit_test(a_registry_that_is_silent_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
