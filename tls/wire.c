/* The client's socket below TLS; see wire.h. */
#include "wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"

/* ---- what the socket did not take ---- */

static enum step hold(struct wire *wire, const unsigned char *bytes, size_t size)
{
	size_t kept = wire->held_size - wire->held_done;
	unsigned char *more = malloc(kept + size);

	if (!more)
		return STEP_BROKEN;
	if (kept)
		memcpy(more, wire->held + wire->held_done, kept);
	memcpy(more + kept, bytes, size);
	free(wire->held);
	wire->held = more;
	wire->held_size = kept + size;
	wire->held_done = 0;
	return STEP_BLOCKED;
}

static enum step push(struct wire *wire, const unsigned char *bytes, size_t size, size_t *done)
{
	int flags = MSG_NOSIGNAL | (wire->goes_on ? MSG_MORE : 0);

	while (*done < size) {
		ssize_t n = send(wire->fd, bytes + *done, size - *done, flags);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? STEP_BLOCKED : STEP_BROKEN;
		wire->has_sent = true;
		*done += (size_t)n;
	}
	return STEP_MOVED;
}

enum step wire_flush(struct wire *wire)
{
	size_t size = wire->block->size, done = 0;
	enum step step = STEP_MOVED;

	assert(!size || wire->block->owner == wire);
	wire->block->size = 0;
	if (wire->held) {
		step = push(wire, wire->held, wire->held_size, &wire->held_done);
		if (step == STEP_MOVED) {
			free(wire->held);
			wire->held = NULL;
			wire->held_size = wire->held_done = 0;
		}
	}
	if (step == STEP_MOVED)
		step = push(wire, wire->block->bytes, size, &done);
	if (step == STEP_BLOCKED && done < size)
		step = hold(wire, wire->block->bytes + done, size - done);
	return step;
}

bool wire_owes(const struct wire *wire)
{
	return wire->held != NULL;
}

void wire_note(struct wire *wire, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		wire->is_dry = false;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		wire->is_ending = true;
}

void wire_release(struct wire *wire)
{
	free(wire->held);
	wire->held = NULL;
	cleanup_fd(&wire->fd);
	wire->fd = -1;
}

/* ---- as a BIO ---- */

static int bio_read(BIO *bio, char *bytes, int size)
{
	struct wire *wire = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (wire->is_dry || !wire->budget) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if ((size_t)size > wire->budget)
		size = (int)wire->budget;
	do
		n = recv(wire->fd, bytes, (size_t)size, 0);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		wire->has_ended = true;
	if (n > 0)
		wire->budget -= (size_t)n;
	/* A short read empties the socket; what comes later is a new edge (epoll(7)). */
	if ((n < 0 && errno == EAGAIN) || (n > 0 && n < size && !wire->is_ending))
		wire->is_dry = true;
	if (n < 0 && errno == EAGAIN)
		BIO_set_retry_read(bio);
	return (int)n;
}

static int bio_write(BIO *bio, const char *bytes, int size)
{
	struct wire *wire = BIO_get_data(bio);
	struct wire_block *block = wire->block;

	BIO_clear_retry_flags(bio);
	assert(!block->size || block->owner == wire);
	block->owner = wire;
	if ((size_t)size > sizeof(block->bytes) - block->size && wire_flush(wire) == STEP_BROKEN)
		return -1;
	if ((size_t)size > sizeof(block->bytes))
		return -1; /* a record is much smaller */
	memcpy(block->bytes + block->size, bytes, (size_t)size);
	block->size += (size_t)size;
	return size;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
	const struct wire *wire = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	switch (command) {
	case BIO_CTRL_EOF:
		return wire->has_ended;
	case BIO_CTRL_FLUSH: /* the relay does, once for all that a call makes */
		return 1;
	default:
		return 0;
	}
}

BIO_METHOD *wire_method_new(struct err *err)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "wire");

	if (method && BIO_meth_set_read(method, bio_read) == 1 &&
	    BIO_meth_set_write(method, bio_write) == 1 &&
	    BIO_meth_set_ctrl(method, bio_control) == 1)
		return method;
	BIO_meth_free(method);
	(void)err_set(err, ERR_IO, "OpenSSL takes no method of reading and writing");
	return NULL;
}

BIO *wire_bio(struct wire *wire, const BIO_METHOD *method)
{
	BIO *bio = BIO_new(method);

	if (!bio)
		return NULL;
	BIO_set_data(bio, wire);
	BIO_set_init(bio, 1);
	return bio;
}
