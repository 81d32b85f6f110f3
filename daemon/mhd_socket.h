/*
 * Connections of tls as sockets for libmicrohttpd. It knows nothing but sockets;
 * a real pair between tls and it would cost four system calls and two copies
 * for each request. So the Makefile links a copy of libmicrohttpd.a in which the
 * calls that it makes on connections lead to the functions below. Descriptors
 * from SOCKET_FIRST on are streams of tls, all others are the kernel's.
 *
 * A set of sockets belongs to one daemon of libmicrohttpd, whose functions may
 * be called by one thread only, after sockets_use on that thread. Threads that
 * libmicrohttpd starts itself, as for the admin port, use the kernel's sockets.
 */
#ifndef SPECMAN_MHD_SOCKET_H
#define SPECMAN_MHD_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "tls/tls.h"

struct epoll_event;
struct msghdr;
struct sockets;

MUST_CHECK struct sockets *sockets_new(struct err *err);
void sockets_free(struct sockets *sockets);

/* What this thread does from here on is done with these sockets. NULL: with none. */
void sockets_use(struct sockets *sockets);

/* A descriptor for a stream, which is closed with it. -1 without memory. */
int sockets_add(struct sockets *sockets, struct tls_stream *stream);

/* The name of a descriptor's stream for tls, and what tls says of it. */
void *sockets_name(int fd);
void sockets_ready(struct sockets *sockets, void *name, unsigned what);

/* As tls_stream_heard. */
void sockets_heard(struct sockets *sockets, int fd);

/*
 * Whether libmicrohttpd is to run for events that it was not told yet. What it asks to
 * watch may have some at once, which tls has no reason to tell of again.
 */
bool sockets_have_news(const struct sockets *sockets);

/*
 * Of the next piece that libmicrohttpd sends in one call and that ends in `ending`, `instead` is
 * sent in place of that; libmicrohttpd is told that all of it went. Both are static texts.
 */
void sockets_replace_end(struct sockets *sockets, int fd, const char *ending, const char *instead);

/* What libmicrohttpd calls instead of the functions of these names. */
ssize_t mhd_recv(int fd, void *bytes, size_t size, int flags);
ssize_t mhd_send(int fd, const void *bytes, size_t size, int flags);
ssize_t mhd_sendmsg(int fd, const struct msghdr *message, int flags);
int mhd_setsockopt(int fd, int level, int name, const void *value, unsigned size);
int mhd_fcntl(int fd, int command, ...);
int mhd_shutdown(int fd, int how);
int mhd_close(int fd);
int mhd_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int mhd_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms);

#endif
