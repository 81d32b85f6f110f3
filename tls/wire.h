/*
 * The client's socket below TLS, as a BIO for OpenSSL. Few system calls: a read
 * takes what is there in one piece (with SSL_CTX_set_read_ahead), a socket that
 * gave less than was asked for is not asked again before the next edge, and
 * all records that one call makes leave in one send.
 *
 * OpenSSL answers some messages by itself (new keys, a renegotiation that is refused),
 * and reads on: without a budget, a client that sends such would keep one call busy
 * for as long as it likes, and what is owed to it would have no bounds.
 */
#ifndef SPECMAN_TLS_WIRE_H
#define SPECMAN_TLS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/bio.h>

#include "base/err.h"

/*
 * Records on their way within one call; one for each worker. Whoever has called
 * OpenSSL calls wire_flush before anything else: what is left behind would be
 * the next connection's.
 */
struct wire_block {
	const struct wire *owner; /* of what is in it */
	size_t size;
	unsigned char bytes[160 * 1024];
};

struct wire {
	int fd;                   /* edge-triggered, non-blocking; -1 before wire_open */
	struct wire_block *block; /* to be set before OpenSSL is called */
	size_t budget;            /* bytes that may be read yet, by one call of OpenSSL's */
	bool is_dry;              /* nothing can be read before the next edge */
	bool is_ending;           /* the peer has closed: an end, or an error, is to be read */
	bool has_ended;           /* the end was read */
	bool has_sent;            /* since wire_taken last said that all was */
	bool goes_on;             /* what is sent now may wait for what is sent next (MSG_MORE) */
	unsigned char *held;      /* what the socket did not take */
	size_t held_size, held_done;
};

/* The BIO's methods; freed with BIO_meth_free. */
MUST_CHECK BIO_METHOD *wire_method_new(struct err *err);

/* A BIO over the wire, which must outlive it. NULL without memory. */
BIO *wire_bio(struct wire *wire, const BIO_METHOD *method);

/* Closes the socket. */
void wire_release(struct wire *wire);

/* Note what epoll says of the socket. */
void wire_note(struct wire *wire, uint32_t events);

enum step { STEP_MOVED, STEP_BLOCKED, STEP_BROKEN };

/* Send what is held and what is in the block: moved means that all of it went. */
enum step wire_flush(struct wire *wire);

/* Whether the socket has not taken all yet. */
bool wire_owes(const struct wire *wire);

#endif
