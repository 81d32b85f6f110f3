/* Which proxy a place has: Go's httpproxy publishes most of these cases as its tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/limits.h"
#include "oci/proxy.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

DEFINE_CLEANUP(cleanup_proxies, struct proxies, proxies_free);

struct variable {
	const char *name;
	const char *value;
};

static struct variable variables[8];

static char *environment(const char *name)
{
	for (size_t i = 0; i < LEN(variables); i++) {
		if (variables[i].name && !strcmp(variables[i].name, name))
			return (char *)(uintptr_t)variables[i].value;
	}
	return NULL;
}

/* Names and values in turn, until NULL. */
static void set(const char *const pairs[])
{
	memset(variables, 0, sizeof(variables));
	for (size_t i = 0; pairs[2 * i]; i++)
		variables[i] = (struct variable){ pairs[2 * i], pairs[2 * i + 1] };
}

static const struct proxy *find(const struct proxies *proxies, const char *url)
{
	struct place place;
	struct err err;

	assert_int_equal(url_place(url, &place, &err), 0);
	return proxies_find(proxies, &place);
}

static void reads_proxies(void **state)
{
	static const struct {
		const char *value, *name, *login;
		enum proxy_kind kind;
	} rows[] = {
		{ "127.0.0.1:8080", "127.0.0.1:8080", NULL, PROXY_HTTP },
		{ "cache.corp.example.com:1234", "cache.corp.example.com:1234", NULL, PROXY_HTTP },
		{ "cache.corp.example.com", "cache.corp.example.com:80", NULL, PROXY_HTTP },
		{ "localhost", "localhost:80", NULL, PROXY_HTTP },
		{ "http://127.0.0.1:8080/", "127.0.0.1:8080", NULL, PROXY_HTTP },
		{ "https://cache.corp.example.com", "cache.corp.example.com:443", NULL,
		  PROXY_HTTPS },
		{ "socks5://127.0.0.1", "127.0.0.1:1080", NULL, PROXY_SOCKS5 },
		{ "socks5h://[::1]", "[::1]:1080", NULL, PROXY_SOCKS5 },
		{ "HTTP://Proxy.Example.COM:80", "proxy.example.com:80", NULL, PROXY_HTTP },
		{ "user:pass@proxy:3128", "proxy:3128", "user:pass", PROXY_HTTP },
		{ "http://user@proxy", "proxy:80", "user:", PROXY_HTTP },
		{ "http://:pass@proxy", "proxy:80", ":pass", PROXY_HTTP },
		{ "http://u%40x:p%2f%25%3a@proxy:3128", "proxy:3128", "u%40x:p%2f%25%3a",
		  PROXY_HTTP },
		{ "http://u:a:b@proxy:3128", "proxy:3128", "u:a:b", PROXY_HTTP },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(cleanup_proxies) struct proxies *proxies = NULL;
		const struct proxy *proxy;
		struct err err;

		set((const char *[]){ "HTTPS_PROXY", rows[i].value, NULL });
		proxies = proxies_new(environment, &err);
		assert_non_null(proxies);
		proxy = find(proxies, "https://example.com");
		assert_non_null(proxy);
		assert_string_equal(proxy->name, rows[i].name);
		assert_int_equal(proxy->kind, rows[i].kind);
		if (rows[i].login)
			assert_string_equal(proxy->login, rows[i].login);
		else
			assert_null(proxy->login);
	}
}

static void refuses_what_is_no_proxy(void **state)
{
	static const char *const rows[] = {
		"ftp://u:hunter2@proxy",
		"foo://u:hunter2@host",
		"socks4://u:hunter2@proxy",
		"http://u:hunter2@pro xy",
		"http://u:hunter2@",
		"http://u:hunter2@proxy:99999",
		"http://u:hunter2@proxy:0",
		"http://u:hunter2@proxy:x",
		"http://u:hunter2@h%0a",
		"http://u%0a:hunter2@proxy",
		"http://u:hunter2%00@proxy",
		"http://u%3av:hunter2@proxy",
		"http://u:hunter2/@proxy",
		"http://u:hunter2@[::1",
		"http://u:hunter2@[fe80::1%25eth0]:1",
		"http://u:hunter2@pr\xc3\xb6xy",
		"://u:hunter2@proxy",
	};
	char longest[LIMIT_PROXY_BYTES + 2];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (size_t i = 0; i <= LEN(rows); i++) {
		struct err err;

		set((const char *[]){ "https_proxy", i < LEN(rows) ? rows[i] : longest, NULL });
		assert_null(proxies_new(environment, &err));
		assert_int_equal(err.kind, ERR_CONFIG);
		assert_non_null(strstr(err.msg, "https_proxy"));
		assert_null(strstr(err.msg, "hunter2"));
	}
}

static void chooses_by_variable(void **state)
{
	static const struct {
		const char *variables[9];
		const char *url, *name;
	} rows[] = {
		{ { NULL }, "https://a.tld/", NULL },
		{ { "HTTP_PROXY", "h", "HTTPS_PROXY", "s", NULL }, "http://a.tld/", "h:80" },
		{ { "HTTP_PROXY", "h", "HTTPS_PROXY", "s", NULL }, "https://a.tld/", "s:80" },
		{ { "HTTP_PROXY", "h", NULL }, "https://a.tld/", NULL },
		{ { "HTTPS_PROXY", "s", NULL }, "http://a.tld/", NULL },
		{ { "https_proxy", "low", NULL }, "https://a.tld/", "low:80" },
		{ { "https_proxy", "low", "HTTPS_PROXY", "up", NULL }, "https://a.tld/", "up:80" },
		{ { "https_proxy", "low", "HTTPS_PROXY", "", NULL }, "https://a.tld/", "low:80" },
		{ { "http_proxy", "low", "HTTP_PROXY", "up", NULL }, "http://a.tld/", "up:80" },
		{ { "ALL_PROXY", "all", "all_proxy", "all", NULL }, "https://a.tld/", NULL },
		{ { "HTTP_PROXY", "h", "REQUEST_METHOD", "GET", NULL }, "http://a.tld/", NULL },
		{ { "http_proxy", "h", "REQUEST_METHOD", "GET", NULL }, "http://a.tld/", NULL },
		{ { "HTTP_PROXY", "h", "REQUEST_METHOD", "", NULL }, "http://a.tld/", "h:80" },
		{ { "HTTPS_PROXY", "s", "REQUEST_METHOD", "GET", NULL }, "https://a.tld/", "s:80" },
		{ { "HTTPS_PROXY", "s", "NO_PROXY", "a.tld", NULL }, "https://a.tld/", NULL },
		{ { "HTTPS_PROXY", "s", "no_proxy", "a.tld", NULL }, "https://a.tld/", NULL },
		{ { "HTTPS_PROXY", "s", "no_proxy", "a.tld", "NO_PROXY", "b.tld", NULL },
		  "https://a.tld/",
		  "s:80" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(cleanup_proxies) struct proxies *proxies = NULL;
		const struct proxy *proxy;
		struct err err;

		set(rows[i].variables);
		proxies = proxies_new(environment, &err);
		assert_non_null(proxies);
		proxy = find(proxies, rows[i].url);
		if (rows[i].name)
			assert_string_equal(proxy ? proxy->name : "direct", rows[i].name);
		else
			assert_null(proxy);
	}
}

/* The list of Go's own test, and some more elements. */
static const char *const go_list = "foobar.com, .barbaz.net, *.wildcard.io, 192.168.1.1, "
				   "192.168.1.2:81, 192.168.1.3:80, 10.0.0.0/30, 2001:db8::52:0:1, "
				   "[2001:db8::52:0:2]:443, [2001:db8::52:0:3]:80, "
				   "2002:db8:a::45/64";

static const struct exception {
	const char *list; /* NULL: Go's */
	const char *url;
	bool proxied;
} exceptions[] = {
	{ NULL, "http://localhost", false },
	{ NULL, "http://LOCALHOST.", false },
	{ NULL, "http://127.0.0.1", false },
	{ NULL, "http://127.0.0.2", false },
	{ NULL, "http://[::1]", false },
	{ NULL, "http://[::ffff:127.0.0.1]", false },
	{ NULL, "http://[::2]", true },
	{ NULL, "http://0.0.0.0", true },
	{ NULL, "http://192.168.1.1", false },
	{ NULL, "http://192.168.1.1:8080", false },
	{ NULL, "http://192.168.1.2", true },
	{ NULL, "http://192.168.1.2:81", false },
	{ NULL, "http://192.168.1.3", false },
	{ NULL, "http://192.168.1.3:81", true },
	{ NULL, "http://192.168.1.4", true },
	{ NULL, "http://10.0.0.2", false },
	{ NULL, "http://10.0.0.4", true },
	{ NULL, "http://[::ffff:10.0.0.2]", false },
	{ NULL, "http://[2001:db8::52:0:1]", false },
	{ NULL, "http://[2001:DB8:0::52:0:1]", false },
	{ NULL, "http://[2001:db8::52:0:2]", true },
	{ NULL, "http://[2001:db8::52:0:3]", false },
	{ NULL, "http://[2002:db8:a::123]", false },
	{ NULL, "http://[2002:db8:b::123]", true },
	{ NULL, "http://[fe80::424b:c8be:1643:a1b6]", true },
	{ NULL, "http://barbaz.net", true },
	{ NULL, "http://www.barbaz.net", false },
	{ NULL, "http://foobar.com", false },
	{ NULL, "http://FOOBAR.com:8080", false },
	{ NULL, "http://www.foobar.com", false },
	{ NULL, "http://foofoobar.com", true },
	{ NULL, "http://baz.com", true },
	{ NULL, "http://localhost.net", true },
	{ NULL, "http://local.localhost", true },
	{ NULL, "http://barbarbaz.net", true },
	{ NULL, "http://wildcard.io", true },
	{ NULL, "http://nested.wildcard.io", false },
	{ NULL, "http://awildcard.io", true },
	{ ":1", "http://example.com", true },
	{ "*", "http://example.com", false },
	{ "a,*", "http://[2001:db8::1]", false },
	{ " * ", "http://8.8.8.8", false },
	{ "*example.com", "http://example.com", true },
	{ "example.com", "http://example.com", false },
	{ ".example.com", "http://example.com", true },
	{ "ample.com", "http://example.com", true },
	{ "example.com", "http://foo.example.com", false },
	{ ".foo.com", "http://example.com", true },
	{ "Example.COM", "http://example.com", false },
	{ ",, ,\texample.com ,,", "http://example.com", false },
	{ ",,,", "http://example.com", true },
	{ "example.com:80", "http://example.com", false },
	{ "example.com:81", "http://example.com", true },
	{ "example.com:", "http://example.com:81", false },
	{ "example.com:http", "http://example.com", true },
	{ ".example.com:80", "http://a.example.com", false },
	{ "*.example.com:81", "http://a.example.com", true },
	{ "http://example.com", "http://example.com", true },
	{ "example.com/", "http://example.com", true },
	{ "[2001:db8::1]", "http://[2001:db8::1]", true }, /* Go wants a port behind brackets */
	{ "2001:db8::1", "http://[2001:db8::1]:5000", false },
	{ "[2001:db8::1]:5000", "http://[2001:db8::1]:5000", false },
	{ "[2001:db8::1]:5000", "http://[2001:db8::1]", true },
	{ "::ffff:10.0.0.0/104", "http://10.200.0.1", false },
	{ "::ffff:10.0.0.0/104", "http://11.0.0.1", true },
	{ "::/0", "http://10.0.0.1", true },
	{ "::/0", "http://[2001:db8::1]", false },
	{ "0.0.0.0/0", "http://10.0.0.1", false },
	{ "0.0.0.0/0", "http://[2001:db8::1]", true },
	{ "0.0.0.0/0", "http://example.com", true },
	{ "10.0.0.0/8", "http://10.255.255.255", false },
	{ "10.0.0.0/8", "http://11.0.0.0", true },
	{ "10.0.0.0/12", "http://10.15.0.1", false },
	{ "10.0.0.0/12", "http://10.16.0.1", true },
	{ "10.0.0.0/33", "http://10.0.0.0", true },
	{ "10.0.0.0/", "http://10.0.0.0", true },
	{ "10.0.0.0/-1", "http://10.0.0.0", true },
	{ "10.0.0.0/4294967304", "http://10.0.0.0", true },
	{ "10.0.0/8", "http://10.0.0.0", true },
	{ "2001:db8::/129", "http://[2001:db8::]", true },
	{ "2001:db8::1/128", "http://[2001:db8::1]", false },
	{ "0.1", "http://10.0.0.1", false }, /* an ending of names, to Go */
	{ ".", "http://example.com", true },
	{ "*.", "http://example.com", true },
	{ "[", "http://example.com", true },
	{ "[]:80", "http://example.com", true },
	{ "[a]b:80", "http://example.com", true },
};

static void heeds_exceptions(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(exceptions); i++) {
		const struct exception *row = &exceptions[i];
		CLEANUP(cleanup_proxies) struct proxies *proxies = NULL;
		struct err err;

		set((const char *[]){ "HTTP_PROXY", "http://proxy", "NO_PROXY",
		                      row->list ? row->list : go_list, NULL });
		proxies = proxies_new(environment, &err);
		assert_non_null(proxies);
		if (!find(proxies, row->url) != !row->proxied)
			fail_msg("NO_PROXY=%s %s", row->list ? row->list : "(Go's)", row->url);
	}
}

static void bounds_exceptions(void **state)
{
	CLEANUP(cleanup_free) char *list = calloc(1, LIMIT_NO_PROXY_BYTES + 2);
	CLEANUP(cleanup_proxies) struct proxies *proxies = NULL;
	struct err err;

	(void)state;
	assert_non_null(list);
	memset(list, 'x', LIMIT_NO_PROXY_BYTES);
	memcpy(list + LIMIT_NO_PROXY_BYTES - 6, ",a.tld", 6);
	set((const char *[]){ "HTTPS_PROXY", "proxy", "NO_PROXY", list, NULL });
	proxies = proxies_new(environment, &err);
	assert_non_null(proxies);
	assert_null(find(proxies, "https://a.tld"));
	assert_non_null(find(proxies, "https://b.tld"));
	list[LIMIT_NO_PROXY_BYTES] = 'x';
	assert_null(proxies_new(environment, &err));
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "NO_PROXY"));
}

static void asks_directly_without_environment(void **state)
{
	CLEANUP(cleanup_proxies) struct proxies *proxies = NULL;
	struct err err;

	(void)state;
	proxies = proxies_new(NULL, &err);
	assert_non_null(proxies);
	assert_null(find(proxies, "https://example.com"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_proxies),
		cmocka_unit_test(refuses_what_is_no_proxy),
		cmocka_unit_test(chooses_by_variable),
		cmocka_unit_test(heeds_exceptions),
		cmocka_unit_test(bounds_exceptions),
		cmocka_unit_test(asks_directly_without_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
