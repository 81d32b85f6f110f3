/*
 * Which proxy, if any, stands before a place: HTTPS_PROXY, HTTP_PROXY and
 * NO_PROXY as Go's golang.org/x/net/http/httpproxy understands them, so that a
 * cluster's settings mean here what they mean to its other programs.
 *
 *	HTTPS_PROXY, https_proxy   for https URLs; HTTP_PROXY does not stand in for it
 *	HTTP_PROXY, http_proxy     for http URLs; neither in a CGI program (REQUEST_METHOD is
 *	                           set), where a request's "Proxy:" header sets it
 *	NO_PROXY, no_proxy         what is asked directly
 *
 * Upper case wins, an empty value counts as none. A proxy is
 * [SCHEME://][USER:PASSWORD@]HOST[:PORT] with http (the scheme's default), https,
 * or socks5 and socks5h, which are the same: the proxy looks names up. Ports by
 * default: 80, 443, 1080.
 *
 * NO_PROXY is a list with commas: "*" (everything); IP addresses and CIDR blocks;
 * names, each of which stands for its subdomains, too; ".name" and "*.name",
 * which stand for the subdomains alone. Addresses (IPv6 in brackets then) and
 * names may end in ":PORT". What is none of that, and an empty element, is
 * ignored. Names are never looked up for a comparison with addresses.
 *
 * "localhost" and loopback addresses are never proxied.
 */
#ifndef SPECMAN_OCI_PROXY_H
#define SPECMAN_OCI_PROXY_H

#include "base/err.h"
#include "oci/url.h"

enum proxy_kind { PROXY_HTTP, PROXY_HTTPS, PROXY_SOCKS5 };

struct proxy {
	enum proxy_kind kind;
	char host[URL_HOST_SIZE]; /* "proxy.example.com", "[::1]" */
	unsigned port;
	char name[URL_HOST_SIZE + 12]; /* "host:port", for people */
	char *login; /* "user:password", both percent-encoded, or NULL. A secret */
};

struct proxies;

/*
 * Read the settings by `environment`, which is like getenv(3), or NULL for no
 * proxies at all. ERR_CONFIG names the variable that is not to be understood, but
 * not its value, which may hold a password. (Go ignores such a variable: its
 * program then asks directly, which is not what was wanted.)
 */
MUST_CHECK struct proxies *proxies_new(char *(*environment)(const char *name), struct err *err);
void proxies_free(struct proxies *proxies);

/* The proxy for a place, which stays the proxies'; or NULL: it is asked directly. */
const struct proxy *proxies_find(const struct proxies *proxies, const struct place *place);

#endif
