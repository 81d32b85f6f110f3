/* Proxies by environment; see proxy.h. */
#include "oci/proxy.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/cleanup.h"
#include "oci/limits.h"

struct proxies {
	struct proxy *https; /* or NULL, as the others */
	struct proxy *http;
	char *exceptions; /* NO_PROXY */
};

static void proxy_free(struct proxy *proxy)
{
	if (proxy->login)
		explicit_bzero(proxy->login, strlen(proxy->login));
	free(proxy->login);
	free(proxy);
}

static void wipe_part(char **part)
{
	if (*part)
		explicit_bzero(*part, strlen(*part));
	curl_free(*part);
}

DEFINE_CLEANUP(cleanup_proxy, struct proxy, proxy_free);
DEFINE_CLEANUP(cleanup_proxies, struct proxies, proxies_free);
DEFINE_CLEANUP(cleanup_url, CURLU, curl_url_cleanup);

void proxies_free(struct proxies *proxies)
{
	if (!proxies)
		return;
	cleanup_proxy(&proxies->https);
	cleanup_proxy(&proxies->http);
	free(proxies->exceptions);
	free(proxies);
}

/* ---- a proxy ---- */

static const struct scheme {
	const char *name;
	enum proxy_kind kind;
	const char *port;
} schemes[] = {
	{ "http", PROXY_HTTP, "80" },
	{ "https", PROXY_HTTPS, "443" },
	{ "socks5", PROXY_SOCKS5, "1080" },
	{ "socks5h", PROXY_SOCKS5, "1080" },
};

static const struct scheme *scheme_of(CURLU *url)
{
	CLEANUP(wipe_part) char *name = NULL;

	if (curl_url_get(url, CURLUPART_SCHEME, &name, 0))
		return NULL;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (!strcmp(schemes[i].name, name))
			return &schemes[i];
	}
	return NULL;
}

/*
 * The text without a scheme is that of http. NULL: broken. What is no scheme of a
 * proxy's is let through, for scheme_of to find.
 */
static CURLU *parse(const char *value)
{
	CLEANUP(cleanup_url) CURLU *url = curl_url();
	char text[LIMIT_PROXY_BYTES + sizeof("http://")];
	CURLUcode failed;

	(void)snprintf(text, sizeof(text), "%s%s", strstr(value, "://") ? "" : "http://", value);
	failed = url ? curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME)
	             : CURLUE_OUT_OF_MEMORY;
	explicit_bzero(text, sizeof(text));
	return failed ? NULL : STEAL(url);
}

/*
 * User and password as libcurl takes them from CURLOPT_PROXYUSERPWD in every
 * version: percent-encoded. Both must decode to text that Basic can carry (RFC
 * 7617, section 2).
 */
static const char *read_login(CURLU *url, struct proxy *proxy)
{
	CLEANUP(wipe_part) char *user = NULL;
	CLEANUP(wipe_part) char *password = NULL;
	CLEANUP(wipe_part) char *plain_user = NULL;
	CLEANUP(wipe_part) char *plain_password = NULL;
	CURLUcode no_user = curl_url_get(url, CURLUPART_USER, &user, 0);
	CURLUcode no_password = curl_url_get(url, CURLUPART_PASSWORD, &password, 0);

	if (no_user && no_password)
		return NULL;
	if ((!no_user && curl_url_get(url, CURLUPART_USER, &plain_user, CURLU_URLDECODE)) ||
	    (!no_password &&
	     curl_url_get(url, CURLUPART_PASSWORD, &plain_password, CURLU_URLDECODE)))
		return "its user or password has a character that it may not have";
	if (plain_user && strchr(plain_user, ':'))
		return "its user has a colon";
	if (asprintf(&proxy->login, "%s:%s", user ? user : "", password ? password : "") < 0) {
		proxy->login = NULL;
		return "out of memory";
	}
	return NULL;
}

/* Host and port, normal as those of any URL. */
static const char *read_place(CURLU *url, const struct scheme *scheme, struct proxy *proxy)
{
	CLEANUP(wipe_part) char *port = NULL;
	CLEANUP(wipe_part) char *text = NULL;
	struct place place;
	struct err unused;

	if (curl_url_get(url, CURLUPART_PORT, &port, 0) &&
	    curl_url_set(url, CURLUPART_PORT, scheme->port, 0))
		return "its port is missing";
	if (curl_url_set(url, CURLUPART_USER, NULL, 0) ||
	    curl_url_set(url, CURLUPART_PASSWORD, NULL, 0) ||
	    curl_url_set(url, CURLUPART_SCHEME, "http", 0) ||
	    curl_url_get(url, CURLUPART_URL, &text, 0) || url_place(text, &place, &unused) ||
	    !place.port)
		return "its host or port is not valid";
	proxy->port = place.port;
	memcpy(proxy->host, place.host, sizeof(proxy->host));
	(void)snprintf(proxy->name, sizeof(proxy->name), "%s:%u", place.host, place.port);
	return NULL;
}

/* NULL, or what is wrong: said without the value. */
static const char *read_proxy(const char *value, struct proxy *proxy)
{
	CLEANUP(cleanup_url) CURLU *url = NULL;
	const struct scheme *scheme;
	const char *wrong;

	if (strlen(value) > LIMIT_PROXY_BYTES)
		return "it is too long";
	url = parse(value);
	if (!url)
		return "it is no address of a proxy, such as http://proxy.example.com:3128 (a "
		       "password's special characters are written as %40 and so on)";
	scheme = scheme_of(url);
	if (!scheme)
		return "its scheme is none of http, https, socks5 and socks5h";
	proxy->kind = scheme->kind;
	wrong = read_login(url, proxy);
	return wrong ? wrong : read_place(url, scheme, proxy);
}

/* The value of a variable by its name in upper or lower case, or NULL. */
static const char *value_of(char *(*environment)(const char *), const char *const names[2],
                            const char **out_name)
{
	for (size_t i = 0; i < 2; i++) {
		const char *value = environment(names[i]);

		*out_name = names[i];
		if (value && *value)
			return value;
	}
	return NULL;
}

static int find_proxy(char *(*environment)(const char *), const char *const names[2],
                      struct proxy **out_proxy, struct err *err)
{
	CLEANUP(cleanup_proxy) struct proxy *proxy = NULL;
	const char *name;
	const char *value = value_of(environment, names, &name);
	const char *wrong;

	if (!value)
		return 0;
	proxy = calloc(1, sizeof(*proxy));
	if (!proxy)
		return err_set_sys(err, ENOMEM, "%s", name);
	wrong = read_proxy(value, proxy);
	if (wrong)
		return err_set(err, ERR_CONFIG, "the environment variable %s: %s", name, wrong);
	*out_proxy = STEAL(proxy);
	return 0;
}

static int find_exceptions(char *(*environment)(const char *), char **out_exceptions,
                           struct err *err)
{
	static const char *const names[2] = { "NO_PROXY", "no_proxy" };
	const char *name;
	const char *value = value_of(environment, names, &name);

	if (!value)
		return 0;
	if (strlen(value) > LIMIT_NO_PROXY_BYTES)
		return err_set(err, ERR_CONFIG,
		               "the environment variable %s is longer than %d bytes", name,
		               LIMIT_NO_PROXY_BYTES);
	*out_exceptions = strdup(value);
	if (!*out_exceptions)
		return err_set_sys(err, ENOMEM, "%s", name);
	for (char *c = *out_exceptions; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return 0;
}

struct proxies *proxies_new(char *(*environment)(const char *), struct err *err)
{
	static const char *const https_names[2] = { "HTTPS_PROXY", "https_proxy" };
	static const char *const http_names[2] = { "HTTP_PROXY", "http_proxy" };
	CLEANUP(cleanup_proxies) struct proxies *proxies = calloc(1, sizeof(*proxies));
	const char *request;

	if (!proxies) {
		(void)err_set_sys(err, ENOMEM, "proxies");
		return NULL;
	}
	if (!environment)
		return STEAL(proxies);
	request = environment("REQUEST_METHOD");
	if (find_proxy(environment, https_names, &proxies->https, err) ||
	    (!(request && *request) && find_proxy(environment, http_names, &proxies->http, err)) ||
	    find_exceptions(environment, &proxies->exceptions, err))
		return NULL;
	return STEAL(proxies);
}

/* ---- what needs none ---- */

/* An IPv4 address is held as the IPv6 address that maps it (RFC 4291, section 2.5.5.2). */
struct address {
	bool is_v4;
	unsigned char bytes[16];
};

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool address_parse(const char *text, struct address *out)
{
	if (inet_pton(AF_INET, text, out->bytes + 12) == 1)
		memcpy(out->bytes, mapped, sizeof(mapped));
	else if (inet_pton(AF_INET6, text, out->bytes) != 1)
		return false;
	out->is_v4 = !memcmp(out->bytes, mapped, sizeof(mapped));
	return true;
}

static bool is_loopback(const struct address *address)
{
	static const unsigned char v6[16] = { [15] = 1 };

	return address->is_v4 ? address->bytes[12] == 127 : !memcmp(address->bytes, v6, 16);
}

/* What is asked for, ready to be compared. */
struct target {
	const char *host; /* without brackets */
	size_t size;
	char port[12];
	bool is_address;
	struct address address;
};

static bool has_prefix(const struct address *a, const struct address *b, unsigned bits)
{
	unsigned char mask = (unsigned char)(0xff00 >> bits % 8);

	return a->is_v4 == b->is_v4 && !memcmp(a->bytes, b->bytes, bits / 8) &&
	       (bits % 8 == 0 || !((a->bytes[bits / 8] ^ b->bytes[bits / 8]) & mask));
}

/* Whether text is a CIDR block; then *out_match says whether the target is within. */
static bool is_block(const char *text, const struct target *target, bool *out_match)
{
	char start[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	struct address block = { .is_v4 = false };
	unsigned bits = 0;
	unsigned most;

	if (!slash || !slash[1] || (size_t)(slash - text) >= sizeof(start))
		return false;
	memcpy(start, text, (size_t)(slash - text));
	start[slash - text] = '\0';
	if (!address_parse(start, &block))
		return false;
	most = strchr(start, ':') ? 128 : 32;
	for (const char *c = slash + 1; *c; c++) {
		if (!isdigit((unsigned char)*c))
			return false;
		bits = 10 * bits + (unsigned)(*c - '0');
		if (bits > most)
			return false;
	}
	if (most == 32)
		bits += 96;
	/* A block that is wider than all of the mapped addresses is one of IPv6. */
	if (bits < 8 * sizeof(mapped))
		block.is_v4 = false;
	*out_match = target->is_address && has_prefix(&target->address, &block, bits);
	return true;
}

/*
 * Part an element at the colon before its port, as Go's net.SplitHostPort does: what
 * it refuses (no colon, several, brackets in other places) is a host as a whole.
 * Returns the port, which may be empty.
 */
static const char *split(char **text)
{
	char *colon = strrchr(*text, ':');
	char *start = *text;
	char *end = colon;

	if (!colon)
		return "";
	if (*start == '[') {
		end = strchr(start, ']');
		if (!end || end + 1 != colon)
			return "";
		start++;
	}
	for (const char *c = start; c < end; c++) {
		if (strchr("[]", *c) || (start == *text && *c == ':'))
			return "";
	}
	if (strpbrk(colon, "[]"))
		return "";
	*end = '\0';
	*text = start;
	return colon + 1;
}

static bool ends_with(const struct target *target, const char *ending)
{
	size_t size = strlen(ending);

	return target->size >= size && !strcmp(target->host + target->size - size, ending);
}

/* One element, in lower case and without outer white space; it is taken apart. */
static bool element_matches(char *text, const struct target *target)
{
	struct address address = { .is_v4 = false };
	const char *port;
	bool match;

	if (!strcmp(text, "*"))
		return true;
	if (is_block(text, target, &match))
		return match;
	port = split(&text);
	if (*port && strcmp(port, target->port))
		return false;
	if (address_parse(text, &address))
		return target->is_address && has_prefix(&address, &target->address, 128);
	if (!strncmp(text, "*.", 2))
		text++;
	if (*text == '.')
		return ends_with(target, text);
	return *text && ends_with(target, text) &&
	       (target->size == strlen(text) ||
	        target->host[target->size - strlen(text) - 1] == '.');
}

static bool is_exception(const char *list, const struct target *target)
{
	while (list && *list) {
		char text[URL_HOST_SIZE + 16]; /* what is longer fits no host */
		size_t size = strcspn(list, ",");
		const char *start = list;
		size_t used = size;

		list += size + (list[size] == ',');
		for (; used && isspace((unsigned char)*start); used--)
			start++;
		while (used && isspace((unsigned char)start[used - 1]))
			used--;
		if (!used || used >= sizeof(text))
			continue;
		memcpy(text, start, used);
		text[used] = '\0';
		if (element_matches(text, target))
			return true;
	}
	return false;
}

const struct proxy *proxies_find(const struct proxies *proxies, const struct place *place)
{
	const struct proxy *proxy = place->secure ? proxies->https : proxies->http;
	struct target target = { .host = place->host, .size = strlen(place->host) };
	char inner[URL_HOST_SIZE];

	if (!proxy)
		return NULL;
	if (place->host[0] == '[' && target.size > 2) {
		target.size -= 2;
		memcpy(inner, place->host + 1, target.size);
		inner[target.size] = '\0';
		target.host = inner;
	}
	(void)snprintf(target.port, sizeof(target.port), "%u", place->port);
	target.is_address = address_parse(target.host, &target.address);
	if (!strcmp(target.host, "localhost") ||
	    (target.is_address && is_loopback(&target.address)) ||
	    is_exception(proxies->exceptions, &target))
		return NULL;
	return proxy;
}
