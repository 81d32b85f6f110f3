/*
 * References: what --repository names, and the grammars of hosts, names and
 * tags (see oci.h). A text that passes here can stand in a URL and a header as
 * it is: no character of it needs to be escaped.
 */
#include "oci/oci.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ASCII alone: a locale has no say in a grammar. */
static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_word(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

bool oci_tag_is_valid(const char *tag)
{
	size_t size = strlen(tag);

	if (!size || size >= OCI_TAG_SIZE || !is_word(tag[0]))
		return false;
	for (size_t i = 1; i < size; i++) {
		if (!is_word(tag[i]) && tag[i] != '.' && tag[i] != '-')
			return false;
	}
	return true;
}

/* RFC 1123, section 2.1: labels of letters, digits and inner hyphens. IPv4 passes as well. */
static bool hostname_is_valid(const char *text, size_t size)
{
	size_t label = 0;

	if (!size || size > 253)
		return false;
	for (size_t i = 0; i < size; i++) {
		bool inner = label && i + 1 < size && text[i + 1] != '.';

		if (text[i] == '.') {
			if (!label)
				return false;
			label = 0;
			continue;
		}
		if (!is_lower_alnum(text[i]) && !(text[i] == '-' && inner))
			return false;
		if (++label > 63)
			return false;
	}
	return label > 0;
}

static bool ipv6_is_valid(const char *text, size_t size)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (!size || size >= sizeof(copy))
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	return inet_pton(AF_INET6, copy, &address) == 1;
}

static bool port_is_valid(const char *text)
{
	unsigned port = 0;

	if (!*text || *text == '0' || strlen(text) > 5)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		port = 10 * port + (unsigned)(*text - '0');
	}
	return port <= 65535;
}

static int check_host(const char *host, struct err *err)
{
	const char *port;
	bool valid;

	if (host[0] == '[') {
		const char *end = strchr(host, ']');

		valid = end && ipv6_is_valid(host + 1, (size_t)(end - host - 1));
		port = end ? end + 1 : "";
	} else {
		size_t size = strcspn(host, ":");

		valid = hostname_is_valid(host, size);
		port = host + size;
	}
	if (!valid)
		return err_set(err, ERR_CONFIG, "\"%s\" is no host name or address", host);
	if (*port && (*port != ':' || !port_is_valid(port + 1)))
		return err_set(err, ERR_CONFIG, "\"%s\" has no valid port", host);
	return 0;
}

/* distribution-spec, "Pulling manifests": the separators are ".", "_", "__" and any "-"s. */
static size_t separator_size(const char *text)
{
	size_t hyphens = strspn(text, "-");

	if (hyphens)
		return hyphens;
	if (*text == '.')
		return 1;
	if (*text == '_')
		return text[1] == '_' ? 2 : 1;
	return 0;
}

static bool name_is_valid(const char *name)
{
	if (!is_lower_alnum(*name))
		return false;
	while (*name) {
		size_t separator;

		if (is_lower_alnum(*name)) {
			name++;
			continue;
		}
		separator = *name == '/' ? 1 : separator_size(name);
		name += separator;
		if (!separator || !is_lower_alnum(*name))
			return false;
	}
	return true;
}

static int check_name(const char *name, struct err *err)
{
	if (strchr(name, '@') || strchr(name, ':'))
		return err_set(err, ERR_CONFIG,
		               "\"%s\" has a tag or digest: name the repository alone", name);
	if (!name_is_valid(name))
		return err_set(err, ERR_CONFIG,
		               "\"%s\" is no repository name: lower-case letters, digits and "
		               "single separators . _ __ - between, parts divided by /",
		               name);
	return 0;
}

/* An @ that doesn't begin a digest. */
static bool has_login(const char *text)
{
	const char *at = strrchr(text, '@');

	return at && (strchr(text, '@') != at ||
	              (strncmp(at, "@sha256:", 8) != 0 && strncmp(at, "@sha512:", 8) != 0));
}

int oci_reference_parse(const char *text, struct oci_reference *out_reference, struct err *err)
{
	struct oci_reference reference = { .host = "" };
	const char *rest = text;
	size_t host, name;

	/* Said without the text: what stands before the @ may be a password. */
	if (has_login(text))
		return err_set(err, ERR_CONFIG,
		               "the repository has an @: no user or password can stand before its "
		               "host; they have keys and flags of their own");
	if (!strncasecmp(rest, "http://", 7))
		return err_set(err, ERR_CONFIG,
		               "repository \"%.200s\": http:// can't stand here; for a registry "
		               "without TLS leave it out and give --plain-http",
		               text);
	if (!strncasecmp(rest, "https://", 8))
		rest += 8;
	if (strstr(rest, "://"))
		return err_set(err, ERR_CONFIG,
		               "repository \"%.200s\": only https:// may stand here", text);
	host = strcspn(rest, "/");
	if (!host || host >= sizeof(reference.host) || !rest[host] || !rest[host + 1])
		return err_set(err, ERR_CONFIG, "repository \"%.200s\" is not HOST[:PORT]/NAME",
		               text);
	for (size_t i = 0; i < host; i++)
		reference.host[i] = (char)(isascii(rest[i]) ? tolower(rest[i]) : rest[i]);
	rest += host + 1;
	name = strlen(rest);
	if (name && rest[name - 1] == '/')
		name--;
	if (!name || name >= sizeof(reference.name))
		return err_set(err, ERR_CONFIG,
		               "repository \"%.200s\": its name has %zu characters, "
		               "1 to %d are possible",
		               text, name, OCI_NAME_SIZE - 1);
	memcpy(reference.name, rest, name);
	if (check_host(reference.host, err) || check_name(reference.name, err))
		return err_context(err, "repository \"%.200s\"", text);
	*out_reference = reference;
	return 0;
}
