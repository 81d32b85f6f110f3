/* Streams as sockets for libmicrohttpd; see mhd_socket.h. */
#include "mhd_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	SOCKET_FIRST = 1 << 28, /* far above what the kernel gives out */
	NONE = -1,
};

struct place {
	struct tls_stream *stream; /* NULL: gone, or the place is free */
	struct epoll_event watch;  /* what libmicrohttpd waits for */
	uint32_t pending;          /* events that it was not told yet */
	const char *ending;        /* of a piece that is to end in `instead`; NULL: of none */
	const char *instead;
	bool is_open;
	bool is_watched;
	bool is_listed;
	int next; /* in the list of those with events, or of free ones */
};

struct sockets {
	struct place *places;
	int room;
	int free;
	int ready;
	int kernel_watches; /* descriptors of the kernel's in libmicrohttpd's epoll */
};

static _Thread_local struct sockets *current;

struct sockets *sockets_new(struct err *err)
{
	struct sockets *sockets = calloc(1, sizeof(*sockets));

	if (!sockets) {
		(void)err_set_sys(err, ENOMEM, "sockets of the HTTP server");
		return NULL;
	}
	sockets->free = NONE;
	sockets->ready = NONE;
	return sockets;
}

void sockets_free(struct sockets *sockets)
{
	if (!sockets)
		return;
	free(sockets->places);
	free(sockets);
}

void sockets_use(struct sockets *sockets)
{
	current = sockets;
}

static int grow(struct sockets *sockets)
{
	int room = sockets->room ? 2 * sockets->room : 64;
	struct place *more = realloc(sockets->places, (size_t)room * sizeof(*more));

	if (!more)
		return -1;
	sockets->places = more;
	for (int i = room; i-- > sockets->room;) {
		more[i] = (struct place){ .next = sockets->free };
		sockets->free = i;
	}
	sockets->room = room;
	return 0;
}

int sockets_add(struct sockets *sockets, struct tls_stream *stream)
{
	int index;

	if (sockets->free == NONE && grow(sockets))
		return -1;
	index = sockets->free;
	sockets->free = sockets->places[index].next;
	sockets->places[index] = (struct place){ .stream = stream, .is_open = true };
	return SOCKET_FIRST + index;
}

void *sockets_name(int fd)
{
	return (void *)(intptr_t)fd;
}

static struct place *place_of(int fd)
{
	return current && fd >= SOCKET_FIRST && fd - SOCKET_FIRST < current->room
	               ? &current->places[fd - SOCKET_FIRST]
	               : NULL;
}

static void give_back(struct sockets *sockets, struct place *place)
{
	place->next = sockets->free;
	sockets->free = (int)(place - sockets->places);
}

/* ---- events ---- */

static void happen(struct sockets *sockets, struct place *place, uint32_t events)
{
	place->pending |= events;
	if (place->is_listed || !place->is_watched)
		return;
	place->is_listed = true;
	place->next = sockets->ready;
	sockets->ready = (int)(place - sockets->places);
}

void sockets_ready(struct sockets *sockets, void *name, unsigned what)
{
	struct place *place = &sockets->places[(int)(intptr_t)name - SOCKET_FIRST];

	if (what & TLS_READABLE)
		happen(sockets, place, EPOLLIN);
	if (what & TLS_WRITABLE)
		happen(sockets, place, EPOLLOUT);
	if (what & TLS_GONE) {
		place->stream = NULL;
		happen(sockets, place, EPOLLIN | EPOLLOUT | EPOLLHUP);
	}
}

void sockets_heard(struct sockets *sockets, int fd)
{
	struct tls_stream *stream = sockets->places[fd - SOCKET_FIRST].stream;

	if (stream)
		tls_stream_heard(stream);
}

bool sockets_have_news(const struct sockets *sockets)
{
	return sockets->ready != NONE;
}

int mhd_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	struct place *place = place_of(fd);

	if (!place) {
		int failed = epoll_ctl(epoll, operation, fd, event);

		if (!failed && current)
			current->kernel_watches += (operation == EPOLL_CTL_ADD) -
			                           (operation == EPOLL_CTL_DEL);
		return failed;
	}
	place->is_watched = operation != EPOLL_CTL_DEL;
	if (place->is_watched) {
		place->watch = *event;
		/* All may be tried once, as of a new socket. */
		happen(current, place, EPOLLIN | EPOLLOUT);
	}
	return 0;
}

int mhd_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms)
{
	int count = 0;

	if (!current)
		return epoll_wait(epoll, events, max, timeout_ms);
	while (count < max && current->ready != NONE) {
		struct place *place = &current->places[current->ready];
		uint32_t what = place->pending & (place->watch.events | EPOLLHUP);

		current->ready = place->next;
		place->is_listed = false;
		place->pending = 0;
		if (!place->is_open)
			give_back(current, place);
		if (!place->is_open || !place->is_watched || !what)
			continue;
		events[count] = place->watch;
		events[count++].events = what;
	}
	/* What the kernel has is level-triggered: it waits for a turn without streams. */
	return count || !current->kernel_watches ? count : epoll_wait(epoll, events, max, 0);
}

/* ---- bytes ---- */

void sockets_replace_end(struct sockets *sockets, int fd, const char *ending, const char *instead)
{
	struct place *place = &sockets->places[fd - SOCKET_FIRST];

	place->ending = ending;
	place->instead = instead;
}

ssize_t mhd_recv(int fd, void *bytes, size_t size, int flags)
{
	const struct place *place = place_of(fd);

	if (!place)
		return recv(fd, bytes, size, flags);
	if (place->stream)
		return tls_stream_read(place->stream, bytes, size);
	errno = ECONNRESET;
	return -1;
}

static ssize_t write_parts(const struct place *place, const struct iovec *parts, size_t count)
{
	if (place->stream)
		return tls_stream_write(place->stream, parts, count);
	errno = EPIPE;
	return -1;
}

static bool ends_in(const char *bytes, size_t size, const char *ending)
{
	size_t length = strlen(ending);

	return size >= length && !memcmp(bytes + size - length, ending, length);
}

/* All of it or nothing: a stream takes more at once than any head has. */
static ssize_t write_with_other_end(struct place *place, const char *bytes, size_t size)
{
	const struct iovec parts[] = {
		{ (void *)(uintptr_t)bytes, size - strlen(place->ending) },
		{ (void *)(uintptr_t)place->instead, strlen(place->instead) },
	};
	size_t whole = parts[0].iov_len + parts[1].iov_len;
	ssize_t n = whole ? write_parts(place, parts, 2) : 0;

	if (n < 0)
		return n;
	if ((size_t)n < whole) {
		errno = EPIPE;
		return -1;
	}
	place->ending = NULL;
	return (ssize_t)size;
}

ssize_t mhd_send(int fd, const void *bytes, size_t size, int flags)
{
	const struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
	struct place *place = place_of(fd);

	if (!place)
		return send(fd, bytes, size, flags);
	return place->ending && ends_in(bytes, size, place->ending)
	               ? write_with_other_end(place, bytes, size)
	               : write_parts(place, &part, 1);
}

ssize_t mhd_sendmsg(int fd, const struct msghdr *message, int flags)
{
	const struct place *place = place_of(fd);

	return place ? write_parts(place, message->msg_iov, message->msg_iovlen)
	             : sendmsg(fd, message, flags);
}

/* ---- the rest ---- */

/* No stream has TCP's options: libmicrohttpd asks once and never again. */
int mhd_setsockopt(int fd, int level, int name, const void *value, unsigned size)
{
	if (!place_of(fd))
		return setsockopt(fd, level, name, value, size);
	errno = ENOPROTOOPT;
	return -1;
}

int mhd_fcntl(int fd, int command, ...)
{
	bool has_argument = command == F_SETFL || command == F_SETFD;
	va_list arguments;
	int argument;

	va_start(arguments, command);
	argument = has_argument ? va_arg(arguments, int) : 0;
	va_end(arguments);
	if (!place_of(fd))
		return fcntl(fd, command, argument);
	return command == F_GETFL ? O_RDWR | O_NONBLOCK : 0;
}

int mhd_shutdown(int fd, int how)
{
	const struct place *place = place_of(fd);

	if (!place)
		return shutdown(fd, how);
	if (place->stream && how != SHUT_RD)
		tls_stream_end(place->stream);
	return 0;
}

int mhd_close(int fd)
{
	struct place *place = place_of(fd);

	if (!place)
		return close(fd);
	if (place->stream)
		tls_stream_close(place->stream);
	place->stream = NULL;
	place->is_open = false;
	place->is_watched = false;
	/* One that is in the list of events goes back when that is gone through. */
	if (!place->is_listed)
		give_back(current, place);
	return 0;
}
