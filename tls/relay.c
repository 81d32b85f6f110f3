/*
 * One connection; see relay.h. The worker's block is used for all reading; a
 * relay holds memory of its own only for what one side would not take yet.
 */
#include "relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
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

/* Bytes that one side did not take. */
struct held {
	unsigned char *bytes;
	size_t size;
	size_t done;
};

struct relay {
	struct relay_links links;
	SSL *ssl;
	int tcp;
	int near;          /* -1 before the handshake is done */
	bool is_open;      /* the handshake is done */
	bool client_ended; /* nothing more comes from the client */
	bool backend_ended;
	bool lingers; /* all was sent; what comes is thrown away */
	bool awaits;  /* the backend got bytes and has given none since */
	struct held to_client;
	struct held to_backend;
	int64_t since_ms;  /* accepted, or lingering, since */
	int64_t active_ms; /* last byte in any direction */
	int64_t head_ms; /* since when a request comes in that was not answered yet; 0: none does */
	int unacked;     /* bytes in the kernel when last looked at */
	struct sockaddr_storage peer;
};

enum step { STEP_MOVED, STEP_BLOCKED, STEP_BROKEN };

struct relay *relay_new_take(SSL_CTX *context, int fd, const struct sockaddr_storage *peer,
                             int64_t now_ms, struct err *err)
{
	CLEANUP(cleanup_fd) int tcp = fd;
	struct relay *relay = calloc(1, sizeof(*relay));
	int on = 1;

	if (!relay) {
		(void)err_set_sys(err, ENOMEM, "connection");
		return NULL;
	}
	relay->tcp = -1;
	relay->near = -1;
	relay->ssl = SSL_new(context);
	if (!relay->ssl || SSL_set_fd(relay->ssl, tcp) != 1) {
		(void)err_set_sys(err, ENOMEM, "TLS connection");
		relay_free(relay);
		return NULL;
	}
	/* Answers leave in whole writes; Nagle's wait would only delay their tails. */
	(void)setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	SSL_set_accept_state(relay->ssl);
	relay->tcp = steal_fd(&tcp);
	relay->peer = *peer;
	relay->since_ms = now_ms;
	relay->active_ms = now_ms;
	return relay;
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	SSL_free(relay->ssl);
	cleanup_fd(&relay->tcp);
	cleanup_fd(&relay->near);
	free(relay->to_client.bytes);
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

static enum step hold(struct held *held, const unsigned char *bytes, size_t size)
{
	held->bytes = malloc(size);
	if (!held->bytes)
		return STEP_BROKEN;
	memcpy(held->bytes, bytes, size);
	held->size = size;
	held->done = 0;
	return STEP_BLOCKED;
}

static void drop(struct held *held)
{
	free(held->bytes);
	*held = (struct held){ .bytes = NULL };
}

/* What SSL_get_error says of a call that did not move anything. */
static enum step judge(struct relay *relay, int result, bool *ended)
{
	switch (SSL_get_error(relay->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return STEP_BLOCKED;
	case SSL_ERROR_ZERO_RETURN:
		*ended = true;
		return STEP_BLOCKED;
	default:
		return STEP_BROKEN;
	}
}

/* Write to TLS until all is taken; *done counts. */
static enum step write_client(struct relay *relay, const unsigned char *bytes, size_t size,
                              size_t *done)
{
	while (*done < size) {
		bool ended = false;
		int n;

		ERR_clear_error();
		n = SSL_write(relay->ssl, bytes + *done, (int)(size - *done));
		if (n <= 0) {
			enum step step = judge(relay, n, &ended);

			return ended ? STEP_BROKEN : step;
		}
		*done += (size_t)n;
	}
	return STEP_MOVED;
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

typedef enum step writer(struct relay *relay, const unsigned char *bytes, size_t size,
                         size_t *done);

/* Try again to hand on what is held. */
static enum step flush_held(struct relay *relay, struct held *held, writer *write_on)
{
	size_t before = held->done;
	enum step step = write_on(relay, held->bytes, held->size, &held->done);

	if (step == STEP_MOVED)
		drop(held);
	return step == STEP_BLOCKED && held->done > before ? STEP_MOVED : step;
}

/* Hand on new bytes, holding what is not taken. */
static enum step pass_on(struct relay *relay, const unsigned char *bytes, size_t size,
                         struct held *held, writer *write_on)
{
	size_t done = 0;
	enum step step = write_on(relay, bytes, size, &done);

	if (step == STEP_BLOCKED && hold(held, bytes + done, size - done) == STEP_BROKEN)
		return STEP_BROKEN;
	return step == STEP_BROKEN ? STEP_BROKEN : STEP_MOVED;
}

/* From the client: one TLS record or so. */
static enum step step_in(struct relay *relay, const struct relay_host *host, int64_t now_ms,
                         size_t *moved)
{
	int n;

	if (relay->to_backend.bytes)
		return flush_held(relay, &relay->to_backend, write_backend);
	if (relay->client_ended)
		return STEP_BLOCKED;
	ERR_clear_error();
	n = SSL_read(relay->ssl, host->block, RELAY_BLOCK_BYTES);
	if (n <= 0) {
		bool ended = false;
		enum step step = judge(relay, n, &ended);

		if (ended) {
			relay->client_ended = true;
			(void)shutdown(relay->near, SHUT_WR);
		}
		return step;
	}
	*moved += (size_t)n;
	relay->awaits = true;
	if (!relay->head_ms)
		relay->head_ms = now_ms;
	/* The backend has closed its end: what still comes is not wanted. */
	if (relay->backend_ended)
		return STEP_MOVED;
	return pass_on(relay, host->block, (size_t)n, &relay->to_backend, write_backend);
}

/* From the backend. */
static enum step step_out(struct relay *relay, const struct relay_host *host, size_t *moved)
{
	ssize_t n;

	if (relay->to_client.bytes)
		return flush_held(relay, &relay->to_client, write_client);
	if (relay->backend_ended)
		return STEP_BLOCKED;
	n = recv(relay->near, host->block, RELAY_BLOCK_BYTES, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? STEP_BLOCKED
		       : errno == ECONNRESET             ? (relay->backend_ended = true, STEP_MOVED)
		                                         : STEP_BROKEN;
	if (n == 0) {
		relay->backend_ended = true;
		drop(&relay->to_backend);
		return STEP_MOVED;
	}
	*moved += (size_t)n;
	relay->awaits = false;
	relay->head_ms = 0;
	return pass_on(relay, host->block, (size_t)n, &relay->to_client, write_client);
}

/* All is sent: close in a way that the client does not lose the tail (RFC 9112, section 9.6). */
static void begin_lingering(struct relay *relay, int64_t now_ms)
{
	relay_say_goodbye(relay);
	(void)shutdown(relay->tcp, SHUT_WR);
	relay->lingers = true;
	relay->since_ms = now_ms;
}

static enum relay_state linger(struct relay *relay, const struct relay_host *host)
{
	for (size_t total = 0; total < TURN_BYTES;) {
		ssize_t n = recv(relay->tcp, host->block, RELAY_BLOCK_BYTES, 0);

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

static enum relay_state open_pair(struct relay *relay, const struct relay_host *host)
{
	int size = PAIR_BUFFER;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends))
		return RELAY_ENDED;
	relay->near = ends[0];
	(void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (host->attach(host->ctx, ends[1]) || host->watch(host->ctx, relay->near, relay))
		return RELAY_ENDED;
	relay->is_open = true;
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

static enum relay_state shake_hands(struct relay *relay, const struct relay_host *host,
                                    int64_t now_ms)
{
	char reason[REASON_SIZE];
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(relay->ssl);
	if (result == 1)
		return open_pair(relay, host);
	switch (SSL_get_error(relay->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return RELAY_WAITS;
	case SSL_ERROR_SSL:
		host->failed(host->ctx, relay, failure(relay, reason));
		begin_lingering(relay, now_ms); /* or else the alert may be lost */
		return linger(relay, host);
	default: /* the client just went away */
		return RELAY_ENDED;
	}
}

enum relay_state relay_pump(struct relay *relay, const struct relay_host *host, int64_t now_ms,
                            bool *out_fed)
{
	size_t in = 0, out = 0;

	if (relay->lingers)
		return linger(relay, host);
	if (!relay->is_open) {
		enum relay_state state = shake_hands(relay, host, now_ms);

		if (state != RELAY_MORE)
			return state;
		relay->active_ms = now_ms;
		relay->head_ms = now_ms;
	}
	for (;;) {
		size_t before = in + out;
		enum step step_1 = step_in(relay, host, now_ms, &in);
		enum step step_2 = step_1 == STEP_BROKEN ? STEP_BROKEN
		                                         : step_out(relay, host, &out);

		if (step_1 == STEP_MOVED || step_2 == STEP_MOVED) {
			relay->active_ms = now_ms;
			relay->links.quiet_turns = 0;
		}
		*out_fed = *out_fed || in > 0 || relay->client_ended;
		if (step_2 == STEP_BROKEN)
			return RELAY_ENDED;
		if (relay->backend_ended && !relay->to_client.bytes) {
			begin_lingering(relay, now_ms);
			return linger(relay, host);
		}
		if (step_1 == STEP_BLOCKED && step_2 == STEP_BLOCKED && in + out == before)
			return RELAY_WAITS;
		if (in + out >= TURN_BYTES)
			return RELAY_MORE;
	}
}

static int unacked(const struct relay *relay)
{
	int bytes = 0;

	return ioctl(relay->tcp, SIOCOUTQ, &bytes) ? 0 : bytes;
}

/*
 * A socket becomes writable again only when about a third of its buffer, which
 * may be megabytes, is free: what a slow reader takes until then is seen here alone.
 */
static void note_what_was_taken(struct relay *relay, int64_t now_ms)
{
	int bytes = unacked(relay);

	if (bytes != relay->unacked)
		relay->active_ms = now_ms;
	relay->unacked = bytes;
}

bool relay_is_overdue(struct relay *relay, const struct relay_host *host, int64_t now_ms)
{
	if (relay->lingers)
		return now_ms - relay->since_ms > LINGER_MS;
	if (!relay->is_open)
		return now_ms - relay->since_ms > host->handshake_ms;
	note_what_was_taken(relay, now_ms);
	if (relay->to_client.bytes)
		return now_ms - relay->active_ms > host->stall_ms;
	if (relay->head_ms && now_ms - relay->head_ms > host->head_ms)
		return true;
	return now_ms - relay->active_ms > host->idle_ms;
}

/* Whether the client's machine confirms nothing any more, not even what is sent again and again. */
static bool has_vanished(const struct relay *relay)
{
	struct tcp_info info = { .tcpi_unacked = 0 };
	socklen_t size = sizeof(info);

	return !getsockopt(relay->tcp, IPPROTO_TCP, TCP_INFO, &info, &size) && info.tcpi_unacked &&
	       info.tcpi_retransmits >= VANISHED_TRIES && info.tcpi_last_ack_recv > VANISHED_MS;
}

bool relay_is_idle(const struct relay *relay)
{
	if (!relay->is_open)
		return true;
	return (!relay->to_client.bytes && unacked(relay) == 0) || has_vanished(relay);
}

bool relay_awaits(const struct relay *relay)
{
	return relay->awaits;
}

void relay_say_goodbye(struct relay *relay)
{
	ERR_clear_error();
	if (relay->is_open)
		(void)SSL_shutdown(relay->ssl);
	ERR_clear_error();
}
