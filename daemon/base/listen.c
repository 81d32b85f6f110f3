/* Listening sockets; see listen.h. */
#include "base/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static int parse_port(const char *text, in_port_t *out_port, struct err *err)
{
	char *end;
	unsigned long port;

	errno = 0;
	port = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || port > 65535)
		return err_set(err, ERR_CONFIG, "\"%.20s\" is no port (0 to 65535)", text);
	*out_port = htons((in_port_t)port);
	return 0;
}

int listen_parse(const char *text, struct listen_address *out_address, struct err *err)
{
	struct listen_address parsed = { .length = 0 };
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&parsed.address;
	struct sockaddr_in *four = (struct sockaddr_in *)&parsed.address;
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon = strrchr(text, ':');
	size_t size = colon ? (size_t)(colon - text) : 0;
	in_port_t port;

	if (!colon || size >= sizeof(host))
		return err_set(err, ERR_CONFIG, "\"%.80s\" is no ADDRESS:PORT, such as [::]:8443",
		               text);
	if (parse_port(colon + 1, &port, err))
		return -1;
	memcpy(host, text, size);
	host[size] = '\0';
	if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
		host[size - 1] = '\0';
		six->sin6_family = AF_INET6;
		six->sin6_port = port;
		parsed.length = sizeof(*six);
		size = inet_pton(AF_INET6, host + 1, &six->sin6_addr) == 1;
	} else if (size == 0) {
		six->sin6_family = AF_INET6;
		six->sin6_port = port;
		six->sin6_addr = in6addr_any;
		parsed.length = sizeof(*six);
		size = 1;
	} else {
		four->sin_family = AF_INET;
		four->sin_port = port;
		parsed.length = sizeof(*four);
		size = inet_pton(AF_INET, host, &four->sin_addr) == 1;
	}
	if (!size)
		return err_set(err, ERR_CONFIG, "\"%.80s\" has no IP address before its port",
		               text);
	*out_address = parsed;
	return 0;
}

static int open_socket(const struct listen_address *address, bool shared, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = -1;
	int on = 1;
	int off = 0;

	fd = socket(address->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set_sys(err, errno, "socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on))) ||
	    (address->address.ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off))))
		return err_set_sys(err, errno, "setsockopt");
	if (bind(fd, (const struct sockaddr *)&address->address, address->length))
		return err_set_sys(err, errno, "bind");
	if (listen(fd, 4096))
		return err_set_sys(err, errno, "listen");
	return steal_fd(&fd);
}

int listen_open(const struct listen_address *address, bool shared, struct err *err)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address->address;
	char text[LISTEN_TEXT_SIZE];
	int fd = open_socket(address, shared, err);

	if (fd < 0 && err->sys == EAFNOSUPPORT && six->sin6_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr)) {
		struct listen_address any = { .length = sizeof(struct sockaddr_in) };
		struct sockaddr_in *four = (struct sockaddr_in *)&any.address;

		four->sin_family = AF_INET;
		four->sin_port = six->sin6_port;
		fd = open_socket(&any, shared, err);
	}
	if (fd < 0)
		return err_context(err, "listen on %s", listen_format(address, text));
	return fd;
}

int listen_bound(int fd, struct listen_address *out_address, struct err *err)
{
	struct listen_address bound = { .length = sizeof(bound.address) };

	if (getsockname(fd, (struct sockaddr *)&bound.address, &bound.length))
		return err_set_sys(err, errno, "getsockname");
	*out_address = bound;
	return 0;
}

char *listen_format(const struct listen_address *address, char text[static LISTEN_TEXT_SIZE])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->address.ss_family == AF_INET6) {
		const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address->address;

		(void)inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host));
		(void)snprintf(text, LISTEN_TEXT_SIZE, "[%s]:%u", host, ntohs(six->sin6_port));
	} else {
		const struct sockaddr_in *four = (const struct sockaddr_in *)&address->address;

		(void)inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host));
		(void)snprintf(text, LISTEN_TEXT_SIZE, "%s:%u", host, ntohs(four->sin_port));
	}
	return text;
}
