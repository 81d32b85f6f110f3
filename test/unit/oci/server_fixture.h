/*
 * A server of plain HTTP on 127.0.0.1, for what can't be told from values alone. It answers one
 * connection after the other; those that it doesn't come to are connected, and silent.
 */
#ifndef SPECMAN_TEST_SERVER_FIXTURE_H
#define SPECMAN_TEST_SERVER_FIXTURE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct server {
	int fd;
	char host[32]; /* HOST:PORT */
	/* Writes an answer; the connection is closed behind it. NULL: nobody is answered. */
	void (*answer)(int fd, unsigned number, const char *request);
	pthread_t thread;
};

/* The head of a request; false: hung up on. */
static inline int server_read(int fd, char *text, size_t room)
{
	size_t used = 0;

	for (;;) {
		ssize_t n = recv(fd, text + used, room - 1 - used, 0);

		if (n <= 0)
			return 0;
		used += (size_t)n;
		text[used] = '\0';
		if (strstr(text, "\r\n\r\n"))
			return 1;
	}
}

static inline void *server_run(void *ctx)
{
	struct server *server = ctx;
	char request[8192];
	int fd;

	for (unsigned number = 0; (fd = accept(server->fd, NULL, NULL)) >= 0; number++) {
		if (server_read(fd, request, sizeof(request)))
			server->answer(fd, number, request);
		(void)close(fd);
	}
	return NULL;
}

static inline void server_start(struct server *server,
                                void (*answer)(int fd, unsigned number, const char *request))
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);

	server->answer = answer;
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(server->fd >= 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(server->fd, 128), 0);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
	(void)snprintf(server->host, sizeof(server->host), "127.0.0.1:%u", ntohs(address.sin_port));
	if (answer)
		assert_int_equal(pthread_create(&server->thread, NULL, server_run, server), 0);
}

static inline void server_stop(struct server *server)
{
	(void)shutdown(server->fd, SHUT_RDWR);
	if (server->answer)
		(void)pthread_join(server->thread, NULL);
	(void)close(server->fd);
}

/* Whether the client has taken it. */
static inline int server_say(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* Wait until the client hangs up, for so long at the most; whether it has. */
static inline int server_waits(int fd, int ms)
{
	struct timeval time = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	char byte;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	return recv(fd, &byte, 1, 0) == 0;
}

#endif
