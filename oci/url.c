/* URLs; see url.h. */
#include "oci/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/cleanup.h"
#include "oci/limits.h"

DEFINE_CLEANUP(cleanup_url, CURLU, curl_url_cleanup);
DEFINE_CLEANUP(cleanup_part, char, curl_free);

/* Parts that a URL has or has not: NULL for the latter. */
static char *part_of(CURLU *url, CURLUPart part)
{
	char *text = NULL;

	if (curl_url_get(url, part, &text, part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0))
		return NULL;
	return text;
}

static CURLU *parse(const char *text, struct err *err)
{
	CLEANUP(cleanup_url) CURLU *url = NULL;
	CURLUcode failed;

	if (strlen(text) > LIMIT_URL_BYTES) {
		(void)err_set(err, ERR_FORMAT, "URL is longer than %d bytes", LIMIT_URL_BYTES);
		return NULL;
	}
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f) {
			(void)err_set(err, ERR_FORMAT, "URL has a character that it may not have");
			return NULL;
		}
	}
	url = curl_url();
	if (!url) {
		(void)err_set_sys(err, ENOMEM, "URL");
		return NULL;
	}
	failed = curl_url_set(url, CURLUPART_URL, text, 0);
	if (failed) {
		(void)err_set(err, ERR_FORMAT, "URL is not valid: %s", curl_url_strerror(failed));
		return NULL;
	}
	return STEAL(url);
}

static void normalise_host(const char *text, char out[static URL_HOST_SIZE])
{
	char inner[URL_HOST_SIZE];
	struct in6_addr address;
	size_t size = strlen(text);

	for (size_t i = 0; i <= size; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	if (size > 1 && out[size - 1] == '.')
		out[size - 1] = '\0';
	if (out[0] != '[' || size < 3)
		return;
	memcpy(inner, out + 1, size - 2);
	inner[size - 2] = '\0';
	if (inet_pton(AF_INET6, inner, &address) != 1)
		return;
	out[0] = '[';
	if (inet_ntop(AF_INET6, &address, out + 1, URL_HOST_SIZE - 2))
		(void)strcat(out, "]");
}

int url_place(const char *text, struct place *out_place, struct err *err)
{
	CLEANUP(cleanup_url) CURLU *url = parse(text, err);
	CLEANUP(cleanup_part) char *scheme = url ? part_of(url, CURLUPART_SCHEME) : NULL;
	CLEANUP(cleanup_part) char *host = url ? part_of(url, CURLUPART_HOST) : NULL;
	CLEANUP(cleanup_part) char *port = url ? part_of(url, CURLUPART_PORT) : NULL;
	CLEANUP(cleanup_part) char *user = url ? part_of(url, CURLUPART_USER) : NULL;
	CLEANUP(cleanup_part) char *password = url ? part_of(url, CURLUPART_PASSWORD) : NULL;
	CLEANUP(cleanup_part) char *zone = url ? part_of(url, CURLUPART_ZONEID) : NULL;
	struct place place = { .secure = false };

	if (!url)
		return -1;
	if (!scheme || (strcmp(scheme, "http") && strcmp(scheme, "https")))
		return err_set(err, ERR_FORMAT, "URL is neither https nor http");
	if (!host || !port || strlen(host) >= sizeof(place.host))
		return err_set(err, ERR_FORMAT, "URL has no host or one that is too long");
	for (const char *c = host; *c; c++) {
		if (!isascii(*c) || !(isalnum(*c) || strchr("-._[]:", *c)))
			return err_set(err, ERR_FORMAT,
			               "URL's host has a character it may not have");
	}
	if (user || password || zone)
		return err_set(err, ERR_FORMAT, "URL has a user or a zone");
	place.secure = !strcmp(scheme, "https");
	place.port = (unsigned)strtoul(port, NULL, 10);
	normalise_host(host, place.host);
	*out_place = place;
	return 0;
}

bool place_equal(const struct place *a, const struct place *b)
{
	return a->secure == b->secure && a->port == b->port && !strcmp(a->host, b->host);
}

char *place_format(const struct place *place, char text[static URL_PLACE_SIZE])
{
	if (place->port == (place->secure ? 443U : 80U))
		(void)snprintf(text, URL_PLACE_SIZE, "%s", place->host);
	else
		(void)snprintf(text, URL_PLACE_SIZE, "%s:%u", place->host, place->port);
	return text;
}

/* The IANA special-purpose blocks that no public server has. */
static bool v4_is_internal(uint32_t address)
{
	static const struct {
		uint32_t block;
		int bits;
	} blocks[] = {
		{ 0x00000000, 8 },  /* 0.0.0.0/8, this network (RFC 791) */
		{ 0x0a000000, 8 },  /* 10.0.0.0/8 (RFC 1918) */
		{ 0x64400000, 10 }, /* 100.64.0.0/10 (RFC 6598) */
		{ 0x7f000000, 8 },  /* 127.0.0.0/8 (RFC 1122) */
		{ 0xa9fe0000, 16 }, /* 169.254.0.0/16 (RFC 3927) */
		{ 0xac100000, 12 }, /* 172.16.0.0/12 (RFC 1918) */
		{ 0xc0a80000, 16 }, /* 192.168.0.0/16 (RFC 1918) */
		{ 0xe0000000, 3 },  /* multicast, reserved, broadcast */
	};

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		if (!((address ^ blocks[i].block) >> (32 - blocks[i].bits)))
			return true;
	}
	return false;
}

static bool v6_is_internal(const unsigned char a[static 16])
{
	static const unsigned char nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const unsigned char zero[12];
	uint32_t last = (uint32_t)a[12] << 24 | (uint32_t)a[13] << 16 | (uint32_t)a[14] << 8 |
	                a[15];

	if (!memcmp(a, zero, 12)) /* ::, ::1 and the old IPv4-compatible ones */
		return true;
	if (!memcmp(a, mapped, 12) || !memcmp(a, nat64, 12))
		return v4_is_internal(last);
	if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 (RFC 3056) */
		return v4_is_internal((uint32_t)a[2] << 24 | (uint32_t)a[3] << 16 |
		                      (uint32_t)a[4] << 8 | a[5]);
	return (a[0] & 0xfe) == 0xfc ||                   /* unique local (RFC 4193) */
	       (a[0] == 0xfe && (a[1] & 0x80) == 0x80) || /* link-local, site-local */
	       a[0] == 0xff;                              /* multicast */
}

/* A name that ends in a number is an IPv4 address to some resolver (WHATWG URL, 3.5). */
static bool ends_in_number(const char *host)
{
	const char *dot = strrchr(host, '.');

	return isdigit((unsigned char)(dot ? dot[1] : host[0]));
}

static bool is_localhost(const char *host)
{
	const char *dot = strrchr(host, '.');

	return !strcmp(dot ? dot + 1 : host, "localhost"); /* RFC 6761, section 6.3 */
}

bool place_is_internal(const struct place *place)
{
	char inner[URL_HOST_SIZE];
	struct in_addr v4;
	struct in6_addr v6;
	size_t size = strlen(place->host);

	if (place->host[0] == '[' && size > 2) {
		memcpy(inner, place->host + 1, size - 2);
		inner[size - 2] = '\0';
		return inet_pton(AF_INET6, inner, &v6) != 1 || v6_is_internal(v6.s6_addr);
	}
	if (inet_pton(AF_INET, place->host, &v4) == 1)
		return v4_is_internal(ntohl(v4.s_addr));
	return ends_in_number(place->host) || is_localhost(place->host);
}

static char *text_of(CURLU *url, struct err *err)
{
	CLEANUP(cleanup_part) char *text = part_of(url, CURLUPART_URL);
	char *copy = text ? strdup(text) : NULL;

	if (!copy)
		(void)err_set_sys(err, ENOMEM, "URL");
	return copy;
}

char *url_resolve(const char *base, const char *reference, struct err *err)
{
	CLEANUP(cleanup_url) CURLU *url = parse(base, err);
	CURLUcode failed;

	if (!url)
		return NULL;
	for (const char *c = reference; *c; c++) {
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f) {
			(void)err_set(err, ERR_FORMAT, "URL has a character that it may not have");
			return NULL;
		}
	}
	if (strlen(reference) > LIMIT_URL_BYTES) {
		(void)err_set(err, ERR_FORMAT, "URL is longer than %d bytes", LIMIT_URL_BYTES);
		return NULL;
	}
	failed = curl_url_set(url, CURLUPART_URL, reference, 0);
	if (failed) {
		(void)err_set(err, ERR_FORMAT, "URL is not valid: %s", curl_url_strerror(failed));
		return NULL;
	}
	return text_of(url, err);
}

char *url_move(const char *text, const char *base, struct err *err)
{
	CLEANUP(cleanup_url) CURLU *url = parse(base, err);
	CLEANUP(cleanup_url) CURLU *other = url ? parse(text, err) : NULL;
	CLEANUP(cleanup_part) char *path = other ? part_of(other, CURLUPART_PATH) : NULL;
	CLEANUP(cleanup_part) char *query = other ? part_of(other, CURLUPART_QUERY) : NULL;

	if (!other)
		return NULL;
	if (curl_url_set(url, CURLUPART_PATH, path, 0) ||
	    curl_url_set(url, CURLUPART_QUERY, query, 0)) {
		(void)err_set(err, ERR_FORMAT, "URL is not valid");
		return NULL;
	}
	return text_of(url, err);
}

char *url_append(const char *text, const char *name, const char *value, struct err *err)
{
	CLEANUP(cleanup_url) CURLU *url = parse(text, err);
	CLEANUP(cleanup_free) char *pair = NULL;

	if (!url)
		return NULL;
	if (asprintf(&pair, "%s=%s", name, value) < 0) {
		pair = NULL;
		(void)err_set_sys(err, ENOMEM, "URL");
		return NULL;
	}
	if (curl_url_set(url, CURLUPART_QUERY, pair, CURLU_APPENDQUERY | CURLU_URLENCODE) ||
	    curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0)) {
		(void)err_set(err, ERR_FORMAT, "URL can't take %s", name);
		return NULL;
	}
	return text_of(url, err);
}
