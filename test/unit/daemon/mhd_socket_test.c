/*
 * Streams as sockets: which events are told, when, and to whom; what is the
 * kernel's stays the kernel's. What is read and written is tested over TLS
 * (test/integration).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "mhd_socket.h"

enum { MANY = 200 };

static struct sockets *sockets;
static int epoll = -1;
static char place_holder; /* stands for streams, none of which is used */

static int setup(void **state)
{
	struct err err;

	(void)state;
	sockets = sockets_new(&err);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	sockets_use(sockets);
	return sockets && epoll >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	sockets_use(NULL);
	sockets_free(STEAL(sockets));
	return close(epoll);
}

static int add(void)
{
	int fd = sockets_add(sockets, (struct tls_stream *)(void *)&place_holder);

	assert_true(fd > 0);
	return fd;
}

static void watch(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	assert_int_equal(mhd_epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
}

/* The one event that there is: of this descriptor, of this kind; 0 for none. */
static void expect(int fd, uint32_t events)
{
	struct epoll_event got[8];
	int count = mhd_epoll_wait(epoll, got, 8, 0);

	assert_int_equal(count, events ? 1 : 0);
	if (events) {
		assert_int_equal(got[0].data.fd, fd);
		assert_int_equal(got[0].events, events);
	}
}

/* As of a connection that was suspended: its bytes came before it is watched again. */
static void what_came_unwatched_is_news_once_it_is_watched(void **state)
{
	int fd = add();

	(void)state;
	assert_false(sockets_have_news(sockets));
	sockets_ready(sockets, sockets_name(fd), TLS_READABLE);
	assert_false(sockets_have_news(sockets));
	watch(fd, EPOLLIN | EPOLLET);
	assert_true(sockets_have_news(sockets));
	expect(fd, EPOLLIN);
	assert_false(sockets_have_news(sockets));
	sockets_ready(sockets, sockets_name(fd), TLS_READABLE);
	assert_true(sockets_have_news(sockets));
	expect(fd, EPOLLIN);
	assert_false(sockets_have_news(sockets));
}

static void events_are_told_once(void **state)
{
	int fd = add();

	(void)state;
	watch(fd, EPOLLIN | EPOLLOUT | EPOLLET);
	expect(fd, EPOLLIN | EPOLLOUT);
	expect(fd, 0);
	sockets_ready(sockets, sockets_name(fd), TLS_READABLE);
	sockets_ready(sockets, sockets_name(fd), TLS_READABLE);
	expect(fd, EPOLLIN);
	sockets_ready(sockets, sockets_name(fd), TLS_READABLE);
	sockets_ready(sockets, sockets_name(fd), TLS_WRITABLE);
	expect(fd, EPOLLIN | EPOLLOUT);
	/* Nobody waits for what is not watched. */
	assert_int_equal(mhd_epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL), 0);
	sockets_ready(sockets, sockets_name(fd), TLS_READABLE);
	expect(fd, 0);
	watch(fd, EPOLLIN);
	expect(fd, EPOLLIN);
}

static void who_is_gone_is_told_and_forgotten(void **state)
{
	int fd = add(), other;
	char byte;

	(void)state;
	watch(fd, EPOLLIN | EPOLLET);
	expect(fd, EPOLLIN);
	sockets_ready(sockets, sockets_name(fd), TLS_GONE);
	expect(fd, EPOLLIN | EPOLLHUP);
	assert_int_equal(mhd_recv(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(mhd_send(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(mhd_shutdown(fd, SHUT_WR), 0);
	/* Closed with an event that was not fetched: it is told to nobody. */
	sockets_ready(sockets, sockets_name(fd), TLS_READABLE);
	assert_int_equal(mhd_close(fd), 0);
	other = add();
	assert_int_not_equal(other, fd);
	watch(other, EPOLLIN);
	expect(other, EPOLLIN);
	/* Now it may have the next stream. */
	assert_int_equal(add(), fd);
}

static void each_stream_has_its_own(void **state)
{
	struct epoll_event got[2 * MANY];
	int fds[MANY];
	int total = 0, count;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		fds[i] = add();
		for (int j = 0; j < i; j++)
			assert_int_not_equal(fds[i], fds[j]);
		watch(fds[i], EPOLLIN);
	}
	while ((count = mhd_epoll_wait(epoll, got, 64, 0)) > 0)
		total += count;
	assert_int_equal(total, MANY);
}

static void the_kernels_stay_its_own(void **state)
{
	int fd = add(), ends[2];
	char byte = 'k';

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(mhd_fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	assert_true(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(mhd_recv(ends[0], &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
	watch(ends[0], EPOLLIN);
	expect(ends[0], 0);
	assert_int_equal(mhd_send(ends[1], "k", 1, MSG_NOSIGNAL), 1);
	/* Streams go first; the kernel's event waits and is not lost. */
	watch(fd, EPOLLIN);
	expect(fd, EPOLLIN);
	expect(ends[0], EPOLLIN);
	assert_int_equal(mhd_recv(ends[0], &byte, 1, 0), 1);
	assert_int_equal(mhd_shutdown(ends[0], SHUT_WR), 0);
	assert_int_equal(recv(ends[1], &byte, 1, 0), 0);
	assert_int_equal(mhd_close(ends[0]), 0);
	assert_int_equal(mhd_close(ends[1]), 0);
	assert_int_equal(fcntl(ends[0], F_GETFD), -1);
	/* A thread without sockets has the kernel's alone. */
	sockets_use(NULL);
	assert_int_equal(mhd_recv(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, EBADF);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_came_unwatched_is_news_once_it_is_watched,
		                                setup, teardown),
		cmocka_unit_test_setup_teardown(events_are_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(who_is_gone_is_told_and_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(each_stream_has_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(the_kernels_stay_its_own, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
