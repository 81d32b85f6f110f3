/*
 * One connection; see relay.h. The worker's blocks are used for all reading and
 * writing; a relay holds memory of its own only for what one side would not
 * take yet.
 */
#include "relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/sockios.h>
#include <openssl/err.h>

#include "base/cleanup.h"
#include "context.h"

enum {
	LINGER_MS = 5000,                   /* for the client to take the tail and close */
	VANISHED_MS = 3000,                 /* without a sign of one that has bytes to confirm */
	VANISHED_TRIES = 2,                 /* and has been sent them again */
	PAIR_BUFFER = 1024 * 1024,          /* lets the backend write a large answer in few steps */
	TURN_BYTES = 4 * RELAY_BLOCK_BYTES, /* a connection's share of one turn */
};

/* Bytes for the backend that it did not take. */
struct held {
	unsigned char *bytes;
	size_t size;
	size_t done;
};

struct relay {
	struct relay_links links;
	const struct relay_host *host;
	SSL *ssl;
	struct wire wire;
	int near;            /* -1 before the handshake is done */
	bool near_has_some;  /* it may be readable */
	bool near_is_ending; /* the backend has closed: the end is to be read */
	bool is_open;        /* the handshake is done */
	bool client_ended;   /* nothing more comes from the client */
	bool backend_ended;
	bool lingers; /* all was sent; what comes is thrown away */
	bool awaits;  /* the backend got bytes and has given none since */
	struct held to_backend;
	int64_t since_ms;  /* accepted, or lingering, since */
	int64_t active_ms; /* last byte in any direction */
	int64_t head_ms; /* since when a request comes in that was not answered yet; 0: none does */
	int unacked;     /* bytes in the kernel when last looked at */
	struct sockaddr_storage peer;
};

struct relay *relay_new_take(const struct relay_host *host, SSL_CTX *context, int fd,
                             const struct sockaddr_storage *peer, struct err *err)
{
	CLEANUP(cleanup_fd) int tcp = fd;
	struct relay *relay = calloc(1, sizeof(*relay));
	BIO *bio = NULL;
	int on = 1;

	if (!relay) {
		(void)err_set_sys(err, ENOMEM, "connection");
		return NULL;
	}
	relay->host = host;
	relay->wire = (struct wire){ .fd = -1, .block = host->records };
	relay->near = -1;
	relay->ssl = SSL_new(context);
	if (relay->ssl)
		bio = wire_bio(&relay->wire, host->method);
	if (!bio) {
		(void)err_set_sys(err, ENOMEM, "TLS connection");
		relay_free(relay);
		return NULL;
	}
	SSL_set_bio(relay->ssl, bio, bio);
	SSL_set_accept_state(relay->ssl);
	/* Answers leave in whole writes; Nagle's wait would only delay their tails. */
	(void)setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	relay->wire.fd = steal_fd(&tcp);
	relay->peer = *peer;
	relay->since_ms = host->now_ms;
	relay->active_ms = host->now_ms;
	return relay;
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	SSL_free(relay->ssl);
	wire_release(&relay->wire);
	cleanup_fd(&relay->near);
	free(relay->to_backend.bytes);
	free(relay);
}

const struct sockaddr_storage *relay_peer(const struct relay *relay)
{
	return &relay->peer;
}

struct relay_links *relay_links(struct relay *relay)
{
	return &relay->links;
}

bool relay_is_open(const struct relay *relay)
{
	return relay->is_open;
}

void relay_note(struct relay *relay, bool is_near, uint32_t events)
{
	if (!is_near) {
		wire_note(&relay->wire, events);
		return;
	}
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		relay->near_has_some = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		relay->near_is_ending = true;
}

void relay_expect(struct relay *relay)
{
	relay->near_has_some = relay->is_open;
}

/* ---- to the backend ---- */

static void drop(struct held *held)
{
	free(held->bytes);
	*held = (struct held){ .bytes = NULL };
}

static enum step write_backend(struct relay *relay, const unsigned char *bytes, size_t size,
                               size_t *done)
{
	while (*done < size) {
		ssize_t n = send(relay->near, bytes + *done, size - *done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return STEP_BLOCKED;
		/* The backend is done with this connection; its last answer is still to be read. */
		if (n < 0)
			n = (ssize_t)(size - *done);
		*done += (size_t)n;
	}
	return STEP_MOVED;
}

/* Try again to hand on what is held. */
static enum step flush_held(struct relay *relay)
{
	struct held *held = &relay->to_backend;
	size_t before = held->done;
	enum step step = write_backend(relay, held->bytes, held->size, &held->done);
	bool has_moved = held->done > before;

	if (step == STEP_MOVED)
		drop(held);
	return has_moved ? STEP_MOVED : step;
}

/* Hand on new bytes, holding what is not taken. */
static enum step feed(struct relay *relay, const unsigned char *bytes, size_t size)
{
	struct held *held = &relay->to_backend;
	size_t done = 0;

	if (write_backend(relay, bytes, size, &done) == STEP_MOVED)
		return STEP_MOVED;
	held->bytes = malloc(size - done);
	if (!held->bytes)
		return STEP_BROKEN;
	memcpy(held->bytes, bytes + done, size - done);
	held->size = size - done;
	held->done = 0;
	return relay->host->watch_room(relay->host->ctx, relay->near, relay) ? STEP_BROKEN
	                                                                     : STEP_MOVED;
}

static enum step judge_read(struct relay *relay, int result)
{
	switch (SSL_get_error(relay->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return STEP_BLOCKED;
	case SSL_ERROR_ZERO_RETURN:
		relay->client_ended = true;
		(void)shutdown(relay->near, SHUT_WR);
		return STEP_MOVED;
	default:
		return STEP_BROKEN;
	}
}

/* From the client: one TLS record or so. */
static enum step step_in(struct relay *relay, size_t *moved)
{
	const struct relay_host *host = relay->host;
	int n;

	if (relay->to_backend.bytes)
		return flush_held(relay);
	if (relay->client_ended || (relay->wire.is_dry && !SSL_has_pending(relay->ssl)))
		return STEP_BLOCKED;
	n = SSL_read(relay->ssl, host->block, RELAY_BLOCK_BYTES);
	if (n <= 0)
		return judge_read(relay, n);
	*moved += (size_t)n;
	relay->awaits = true;
	if (!relay->head_ms)
		relay->head_ms = host->now_ms;
	/* The backend has closed its end: what still comes is not wanted. */
	if (relay->backend_ended)
		return STEP_MOVED;
	return feed(relay, host->block, (size_t)n);
}

/* ---- to the client ---- */

/* Read what the backend has written; 0 when there is nothing now, or no more. */
static size_t take(struct relay *relay)
{
	ssize_t n;

	if (!relay->near_has_some || relay->backend_ended)
		return 0;
	do
		n = recv(relay->near, relay->host->block, RELAY_BLOCK_BYTES, 0);
	while (n < 0 && errno == EINTR);
	/* A short read empties it; what the backend writes later is a new edge. */
	if ((n < 0 && errno == EAGAIN) ||
	    (n > 0 && n < RELAY_BLOCK_BYTES && !relay->near_is_ending))
		relay->near_has_some = false;
	if (n > 0)
		return (size_t)n;
	if (n == 0 || errno != EAGAIN) {
		relay->backend_ended = true;
		drop(&relay->to_backend);
	}
	return 0;
}

static enum step step_out(struct relay *relay, size_t *moved)
{
	enum step step = wire_flush(&relay->wire);
	size_t size;

	if (step != STEP_MOVED)
		return step;
	size = take(relay);
	if (!size)
		return STEP_BLOCKED;
	*moved += size;
	relay->awaits = false;
	relay->head_ms = 0;
	if (SSL_write(relay->ssl, relay->host->block, (int)size) <= 0)
		return STEP_BROKEN;
	return wire_flush(&relay->wire) == STEP_BROKEN ? STEP_BROKEN : STEP_MOVED;
}

/* ---- the end ---- */

/* All is sent: close in a way that the client does not lose the tail (RFC 9112, section 9.6). */
static enum relay_state begin_lingering(struct relay *relay)
{
	relay_say_goodbye(relay);
	(void)shutdown(relay->wire.fd, SHUT_WR);
	relay->lingers = true;
	relay->since_ms = relay->host->now_ms;
	return RELAY_MORE;
}

static enum relay_state linger(struct relay *relay)
{
	for (size_t total = 0; total < TURN_BYTES;) {
		ssize_t n = recv(relay->wire.fd, relay->host->block, RELAY_BLOCK_BYTES, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return RELAY_WAITS;
		if (n <= 0)
			return RELAY_ENDED;
		total += (size_t)n;
	}
	return RELAY_MORE;
}

void relay_say_goodbye(struct relay *relay)
{
	ERR_clear_error();
	if (relay->is_open)
		(void)SSL_shutdown(relay->ssl);
	(void)wire_flush(&relay->wire); /* an end that can't be told is one as well */
	ERR_clear_error();
}

/* ---- the handshake ---- */

static enum relay_state open_pair(struct relay *relay)
{
	const struct relay_host *host = relay->host;
	int size = PAIR_BUFFER;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends))
		return RELAY_ENDED;
	relay->near = ends[0];
	(void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	relay->is_open = true;
	relay->active_ms = host->now_ms;
	relay->head_ms = host->now_ms;
	if (host->attach(host->ctx, ends[1]) || host->watch(host->ctx, relay->near, relay))
		return RELAY_ENDED;
	return RELAY_MORE;
}

/* Why a handshake failed. */
static const char *failure(struct relay *relay, char text[static REASON_SIZE])
{
	long verdict = SSL_get_verify_result(relay->ssl);

	(void)openssl_reason(text);
	if (verdict != X509_V_OK)
		(void)snprintf(text, REASON_SIZE, "client certificate: %s",
		               X509_verify_cert_error_string(verdict));
	return text;
}

static enum relay_state shake_hands(struct relay *relay)
{
	char reason[REASON_SIZE];
	int result = SSL_do_handshake(relay->ssl);
	int error = SSL_get_error(relay->ssl, result);

	if (wire_flush(&relay->wire) == STEP_BROKEN)
		return RELAY_ENDED;
	switch (error) {
	case SSL_ERROR_NONE:
		return open_pair(relay);
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return RELAY_WAITS;
	case SSL_ERROR_SSL:
		relay->host->failed(relay->host->ctx, relay, failure(relay, reason));
		return begin_lingering(relay); /* or else the alert may be lost */
	default:                               /* the client just went away */
		return RELAY_ENDED;
	}
}

/* ---- moving ---- */

static enum relay_state move(struct relay *relay, size_t *in, size_t *out)
{
	for (;;) {
		enum step step_1 = step_in(relay, in);
		enum step step_2 = step_1 == STEP_BROKEN ? STEP_BROKEN : step_out(relay, out);

		if (step_2 == STEP_BROKEN)
			return RELAY_ENDED;
		if (step_1 == STEP_MOVED || step_2 == STEP_MOVED) {
			relay->active_ms = relay->host->now_ms;
			relay->links.quiet_turns = 0;
		}
		if (relay->backend_ended && !wire_owes(&relay->wire))
			return begin_lingering(relay);
		if (step_1 == STEP_BLOCKED && step_2 == STEP_BLOCKED)
			return RELAY_WAITS;
		if (*in + *out >= TURN_BYTES)
			return RELAY_MORE;
	}
}

enum relay_state relay_pump(struct relay *relay, unsigned *out_moved)
{
	enum relay_state state = RELAY_MORE;
	bool had_ended = relay->client_ended, had_held = relay->to_backend.bytes != NULL;
	size_t in = 0, out = 0;

	ERR_clear_error(); /* for SSL_get_error; nothing but failures fills it */
	if (!relay->is_open && !relay->lingers)
		state = shake_hands(relay);
	if (relay->is_open && !relay->lingers && state == RELAY_MORE)
		state = move(relay, &in, &out);
	if (relay->lingers)
		state = linger(relay);
	if (in || relay->client_ended != had_ended || (had_held && !relay->to_backend.bytes))
		*out_moved |= RELAY_FED;
	if (out)
		*out_moved |= RELAY_DRAINED;
	return state;
}

/* ---- deadlines ---- */

static int unacked(const struct relay *relay)
{
	int bytes = 0;

	return ioctl(relay->wire.fd, SIOCOUTQ, &bytes) ? 0 : bytes;
}

/*
 * A socket becomes writable again only when about a third of its buffer, which
 * may be megabytes, is free: what a slow reader takes until then is seen here alone.
 */
static void note_what_was_taken(struct relay *relay)
{
	int bytes;

	if (!relay->wire.has_sent)
		return;
	bytes = unacked(relay);
	if (bytes != relay->unacked)
		relay->active_ms = relay->host->now_ms;
	relay->unacked = bytes;
	relay->wire.has_sent = bytes > 0;
}

bool relay_is_overdue(struct relay *relay)
{
	const struct relay_host *host = relay->host;

	if (relay->lingers)
		return host->now_ms - relay->since_ms > LINGER_MS;
	if (!relay->is_open)
		return host->now_ms - relay->since_ms > host->handshake_ms;
	note_what_was_taken(relay);
	if (wire_owes(&relay->wire))
		return host->now_ms - relay->active_ms > host->stall_ms;
	if (relay->head_ms && host->now_ms - relay->head_ms > host->head_ms)
		return true;
	return host->now_ms - relay->active_ms > host->idle_ms;
}

/* Whether the client's machine confirms nothing any more, not even what is sent again and again. */
static bool has_vanished(const struct relay *relay)
{
	struct tcp_info info = { .tcpi_unacked = 0 };
	socklen_t size = sizeof(info);

	return !getsockopt(relay->wire.fd, IPPROTO_TCP, TCP_INFO, &info, &size) &&
	       info.tcpi_unacked && info.tcpi_retransmits >= VANISHED_TRIES &&
	       info.tcpi_last_ack_recv > VANISHED_MS;
}

bool relay_is_idle(const struct relay *relay)
{
	if (!relay->is_open)
		return true;
	return (!wire_owes(&relay->wire) && unacked(relay) == 0) || has_vanished(relay);
}

bool relay_awaits(const struct relay *relay)
{
	return relay->awaits;
}
