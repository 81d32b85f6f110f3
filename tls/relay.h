/*
 * One connection: the handshake, then the plain bytes as a stream for the
 * backend. relay_note says what epoll saw of its socket (edge-triggered,
 * registered once), relay_pump does what can be done without waiting; the
 * backend reads and writes through OpenSSL, with no buffer between.
 */
#ifndef SPECMAN_TLS_RELAY_H
#define SPECMAN_TLS_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "base/err.h"
#include "tls.h"
#include "wire.h"

enum { RELAY_BLOCK_BYTES = 128 * 1024 };

struct relay;

/* What a relay needs of its worker; shared by the worker's relays, which it outlives. */
struct relay_host {
	int handshake_ms;
	int head_ms;
	int stall_ms;
	int idle_ms;
	bool is_draining; /* what the client has not confirmed counts as what it has not taken */
	/* Take the stream of a connection that is open (as tls_backend.add). */
	void *(*attach)(void *ctx, struct tls_stream *stream, const struct sockaddr_storage *peer);
	/* As tls_backend.ready. */
	void (*ready)(void *ctx, void *name, unsigned what);
	/* Pump this relay soon, although there is no edge. */
	void (*again)(void *ctx, struct relay *relay);
	/* A handshake failed for a reason worth knowing. */
	void (*failed)(void *ctx, const struct relay *relay, const char *reason);
	void *ctx;
	const BIO_METHOD *method;
	unsigned char *block; /* RELAY_BLOCK_BYTES, for use within one call */
	struct wire_block *records;
	struct tls_counts *counts;
	int64_t now_ms; /* of CLOCK_MONOTONIC, of this turn */
};

/* Takes fd, an accepted non-blocking socket, also on failure (NULL). */
MUST_CHECK struct relay *relay_new_take(const struct relay_host *host, SSL_CTX *context, int fd,
                                        const struct sockaddr_storage *peer, struct err *err);

/* Closes the socket, and tells the backend. */
void relay_free(struct relay *relay);

/* Note epoll's events of the socket. */
void relay_note(struct relay *relay, uint32_t events);

enum relay_state {
	RELAY_WAITS, /* for an edge */
	RELAY_MORE,  /* its share of this turn is used up: pump it again in the next */
	RELAY_ENDED, /* free it */
};

enum relay_state relay_pump(struct relay *relay);

/*
 * Whether a deadline has passed: then it is to be freed. To be asked about once
 * a second, for it also looks at what the client took out of the kernel's buffer.
 */
bool relay_is_overdue(struct relay *relay);

/*
 * Whether it owes the client nothing: it is in its handshake, or the client has
 * taken all that the backend gave, or is gone from the network.
 */
bool relay_is_idle(const struct relay *relay);

/* Whether the backend got bytes and has given none since. */
bool relay_awaits(const struct relay *relay);

/* Tell the client that this is the end (close_notify), as far as that goes without waiting. */
void relay_say_goodbye(struct relay *relay);

const struct sockaddr_storage *relay_peer(const struct relay *relay);

/* Links for the worker's lists, which the relay only keeps. */
struct relay_links {
	struct relay *next, *previous; /* all relays of a worker */
	struct relay *next_ready;      /* those to be pumped */
	bool is_ready;
	bool is_dead;
	unsigned quiet_turns; /* counted by the worker; bytes that move set it to 0 */
};

struct relay_links *relay_links(struct relay *relay);

#endif
