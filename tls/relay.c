/*
 * One connection; see relay.h. The worker's blocks are used for all writing; a
 * relay holds memory of its own only for what the client would not take yet.
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
#include "counts.h"

enum {
	LINGER_MS = 5000,                     /* for the client to take the tail and close */
	VANISHED_MS = 3000,                   /* without a sign of one that has bytes to confirm */
	VANISHED_TRIES = 2,                   /* and has been sent them again */
	LINGER_BYTES = 4 * RELAY_BLOCK_BYTES, /* of that, in one turn */
	TURN_BYTES = 32 * 1024, /* that are read of one client before others have a turn */
	RECORD_BYTES = SSL3_RT_MAX_PLAIN_LENGTH,
	MESSAGES_MAX = 32, /* of TLS itself, one behind the other: no client needs as many */
};

struct tls_stream {
	struct relay *relay;
};

struct relay {
	struct relay_links links;
	const struct relay_host *host;
	struct tls_stream stream;
	void *name; /* of the stream with the backend; NULL before and after */
	SSL *ssl;
	struct wire wire;
	bool is_open; /* the handshake is done */
	bool is_broken;
	bool client_ended; /* nothing more comes from the client */
	bool end_is_told;  /* to the backend */
	bool backend_ended;
	bool wants_room;   /* the backend has more to write */
	bool lingers;      /* all was sent; what comes is thrown away */
	bool awaits;       /* the backend got bytes and has given none since */
	unsigned messages; /* of the client's TLS, since the handshake or the last plain byte */
	int64_t since_ms;  /* accepted, or lingering, since */
	int64_t active_ms; /* last byte in any direction */
	int64_t head_ms; /* since when a request comes in that was not answered yet; 0: none does */
	int unacked;     /* bytes in the kernel when last looked at */
	struct sockaddr_storage peer;
};

/* It can't go on: the worker is to see it. */
static void break_off(struct relay *relay)
{
	relay->is_broken = true;
	relay->host->again(relay->host->ctx, relay);
}

/*
 * New keys (RFC 8446, section 4.6.3) and renegotiations that are refused cost the client little,
 * and OpenSSL 3.0 a tenth of a millisecond each: one client could keep a worker busy.
 */
static void on_message(int is_written, int version, int type, const void *bytes, size_t size,
                       SSL *ssl, void *ctx)
{
	struct relay *relay = ctx;

	(void)version;
	(void)bytes;
	(void)size;
	if (is_written || type != SSL3_RT_HANDSHAKE || !relay->is_open ||
	    ++relay->messages <= MESSAGES_MAX)
		return;
	SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN); /* what it has read yet is not looked at */
	break_off(relay);
}

struct relay *relay_new_take(const struct relay_host *host, SSL_CTX *context, int fd,
                             const struct sockaddr_storage *peer, struct err *err)
{
	CLEANUP(cleanup_fd) int tcp = fd;
	struct relay *relay = calloc(1, sizeof(*relay));
	BIO *bio = NULL;

	if (!relay) {
		(void)err_set_sys(err, ENOMEM, "connection");
		return NULL;
	}
	relay->host = host;
	relay->wire = (struct wire){ .fd = -1, .block = host->records };
	relay->stream.relay = relay;
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
	SSL_set_msg_callback(relay->ssl, on_message);
	SSL_set_msg_callback_arg(relay->ssl, relay);
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
	if (relay->name)
		relay->host->ready(relay->host->ctx, relay->name, TLS_GONE);
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

void relay_note(struct relay *relay, uint32_t events)
{
	wire_note(&relay->wire, events);
}

/* ---- the stream ---- */

/* Who does not take what is owed is not listened to: it could ask for more without end. */
static bool is_readable(const struct relay *relay)
{
	if (relay->client_ended)
		return !relay->end_is_told;
	if (wire_owes(&relay->wire))
		return false;
	return !relay->wire.is_dry || SSL_has_pending(relay->ssl);
}

static void note_activity(struct relay *relay)
{
	relay->active_ms = relay->host->now_ms;
	relay->links.quiet_turns = 0;
}

/* What a read that gave nothing means. */
static void judge_read(struct relay *relay, int result)
{
	switch (SSL_get_error(relay->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		break;
	case SSL_ERROR_ZERO_RETURN:
		relay->client_ended = true;
		break;
	default:
		break_off(relay);
	}
}

/* Read records until the size is reached or there is no more now. */
static size_t read_some(struct relay *relay, unsigned char *bytes, size_t size)
{
	size_t done = 0;
	int n = 1;

	relay->wire.budget = TURN_BYTES;
	while (n > 0 && done < size && !relay->client_ended && is_readable(relay)) {
		size_t room = size - done;

		n = SSL_read(relay->ssl, bytes + done,
		             room < RELAY_BLOCK_BYTES ? (int)room : RELAY_BLOCK_BYTES);
		if (n > 0)
			done += (size_t)n;
		else
			judge_read(relay, n);
	}
	return done;
}

ssize_t tls_stream_read(struct tls_stream *stream, void *bytes, size_t size)
{
	struct relay *relay = stream->relay;
	size_t done = relay->is_broken ? 0 : read_some(relay, bytes, size);

	/* Reading may write: an alert, an answer to a change of keys. */
	if (wire_flush(&relay->wire) == STEP_BROKEN)
		break_off(relay);
	if (done) {
		note_activity(relay);
		relay->awaits = true;
		relay->messages = 0;
		if (!relay->head_ms)
			relay->head_ms = relay->host->now_ms;
		if (is_readable(relay))
			relay->host->again(relay->host->ctx, relay);
		return (ssize_t)done;
	}
	if (!relay->is_broken && relay->client_ended) {
		relay->end_is_told = true;
		return 0;
	}
	/* There is more in the socket, but not in this turn. */
	if (!relay->is_broken && !relay->wire.is_dry && !wire_owes(&relay->wire))
		relay->host->again(relay->host->ctx, relay);
	errno = relay->is_broken ? ECONNRESET : EAGAIN;
	return -1;
}

/* Give OpenSSL bytes to write; whether it took them. */
static bool write_plain(struct relay *relay, const void *bytes, size_t size)
{
	return !size || SSL_write(relay->ssl, bytes, (int)size) > 0;
}

/*
 * As much as goes in one call. A head and what follows it are one record; of
 * what is larger, only the first record's share is copied.
 */
static bool write_parts(struct relay *relay, const struct iovec *parts, size_t count,
                        size_t *out_size)
{
	size_t joined = 0, size = 0;

	for (size_t i = 0; i < count && size < RELAY_BLOCK_BYTES; i++) {
		const unsigned char *bytes = parts[i].iov_base;
		size_t left = parts[i].iov_len < RELAY_BLOCK_BYTES - size
		                      ? parts[i].iov_len
		                      : RELAY_BLOCK_BYTES - size;
		size_t share = i + 1 == count && !joined      ? 0
		               : left < RECORD_BYTES - joined ? left
		                                              : RECORD_BYTES - joined;

		if (share)
			memcpy(relay->host->block + joined, bytes, share);
		joined += share;
		size += left;
		if (joined < RECORD_BYTES && i + 1 < count)
			continue;
		if (!write_plain(relay, relay->host->block, joined) ||
		    !write_plain(relay, bytes + share, left - share))
			return false;
		joined = 0;
	}
	*out_size = size;
	return write_plain(relay, relay->host->block, joined);
}

ssize_t tls_stream_write(struct tls_stream *stream, const struct iovec *parts, size_t count)
{
	struct relay *relay = stream->relay;
	size_t size = 0, whole = 0;

	if (!relay->is_broken && wire_owes(&relay->wire)) {
		relay->wants_room = true;
		errno = EAGAIN;
		return -1;
	}
	for (size_t i = 0; i < count; i++)
		whole += parts[i].iov_len;
	if (!whole)
		return 0;
	if (!relay->is_broken && !write_parts(relay, parts, count, &size))
		break_off(relay);
	if (wire_flush(&relay->wire) == STEP_BROKEN)
		break_off(relay);
	if (relay->is_broken) {
		errno = EPIPE;
		return -1;
	}
	note_activity(relay);
	counter_add(&relay->host->counts->written_bytes, size);
	relay->awaits = false;
	relay->head_ms = 0;
	/* What was promised once is owed, also when the next piece is taken whole. */
	relay->wants_room = relay->wants_room || size < whole;
	if (relay->wants_room && !wire_owes(&relay->wire))
		relay->host->again(relay->host->ctx, relay);
	return (ssize_t)size;
}

void tls_stream_heard(struct tls_stream *stream)
{
	stream->relay->head_ms = 0;
}

void tls_stream_end(struct tls_stream *stream)
{
	stream->relay->backend_ended = true;
	stream->relay->host->again(stream->relay->host->ctx, stream->relay);
}

void tls_stream_close(struct tls_stream *stream)
{
	stream->relay->name = NULL;
	tls_stream_end(stream);
}

/* ---- the end ---- */

/* All is sent: close in a way that the client does not lose the tail (RFC 9112, section 9.6). */
static enum relay_state begin_lingering(struct relay *relay)
{
	relay->wire.goes_on = true; /* close_notify and the socket's end are one packet */
	relay_say_goodbye(relay);
	(void)shutdown(relay->wire.fd, SHUT_WR);
	relay->lingers = true;
	relay->since_ms = relay->host->now_ms;
	return RELAY_MORE;
}

static enum relay_state linger(struct relay *relay)
{
	for (size_t total = 0; !relay->wire.is_dry && total < LINGER_BYTES;) {
		ssize_t n = recv(relay->wire.fd, relay->host->block, RELAY_BLOCK_BYTES, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			relay->wire.is_dry = true;
			break;
		}
		if (n <= 0)
			return RELAY_ENDED;
		total += (size_t)n;
	}
	return relay->wire.is_dry ? RELAY_WAITS : RELAY_MORE;
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

static void count_handshake(const struct relay *relay)
{
	struct tls_counts *counts = relay->host->counts;
	enum tls_version version = SSL_version(relay->ssl) == TLS1_2_VERSION ? TLS_VERSION_12
	                                                                     : TLS_VERSION_13;

	counter_add(&counts->handshakes[version], 1);
	if (SSL_session_reused(relay->ssl))
		counter_add(&counts->resumed[version], 1);
}

static enum relay_state open_stream(struct relay *relay)
{
	const struct relay_host *host = relay->host;

	count_handshake(relay);
	relay->is_open = true;
	relay->active_ms = host->now_ms;
	relay->head_ms = host->now_ms;
	relay->name = host->attach(host->ctx, &relay->stream, &relay->peer);
	return relay->name ? RELAY_MORE : RELAY_ENDED;
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

/* The client just went away. */
static enum relay_state give_up(struct relay *relay)
{
	counter_add(&relay->host->counts->failed[TLS_HANDSHAKE_GONE], 1);
	return RELAY_ENDED;
}

static enum relay_state shake_hands(struct relay *relay)
{
	char reason[REASON_SIZE];
	int result, error;

	relay->wire.budget = TURN_BYTES;
	result = SSL_do_handshake(relay->ssl);
	error = SSL_get_error(relay->ssl, result);
	/* Where a request came with the client's last flight, its answer takes the tickets along.
	 */
	relay->wire.goes_on = error == SSL_ERROR_NONE && SSL_has_pending(relay->ssl);
	if (wire_flush(&relay->wire) == STEP_BROKEN)
		return give_up(relay);
	relay->wire.goes_on = false;
	switch (error) {
	case SSL_ERROR_NONE:
		return open_stream(relay);
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return relay->wire.is_dry ? RELAY_WAITS : RELAY_MORE;
	case SSL_ERROR_SSL:
		counter_add(&relay->host->counts->failed[TLS_HANDSHAKE_FAILED], 1);
		relay->host->failed(relay->host->ctx, relay, failure(relay, reason));
		return begin_lingering(relay); /* or else the alert may be lost */
	default:
		return give_up(relay);
	}
}

/* ---- a turn ---- */

/* Send what is owed, and tell the backend what it may do. */
static enum relay_state serve(struct relay *relay)
{
	bool owed = wire_owes(&relay->wire);
	enum step step = STEP_MOVED;
	unsigned what = 0;

	if (owed)
		step = wire_flush(&relay->wire);
	if (step == STEP_BROKEN || relay->is_broken)
		return RELAY_ENDED;
	if (owed && step == STEP_MOVED)
		note_activity(relay);
	if (relay->backend_ended)
		return step == STEP_MOVED ? begin_lingering(relay) : RELAY_WAITS;
	if (is_readable(relay))
		what |= TLS_READABLE;
	if (relay->wants_room && step == STEP_MOVED) {
		relay->wants_room = false;
		what |= TLS_WRITABLE;
	}
	if (what)
		relay->host->ready(relay->host->ctx, relay->name, what);
	return RELAY_WAITS;
}

enum relay_state relay_pump(struct relay *relay)
{
	enum relay_state state = RELAY_MORE;

	/* SSL_get_error looks into the queue; what fills it are failures alone. */
	if (ERR_peek_error())
		ERR_clear_error();
	if (!relay->is_open && !relay->lingers)
		state = shake_hands(relay);
	if (relay->is_open && !relay->lingers && state == RELAY_MORE)
		state = serve(relay);
	return relay->lingers ? linger(relay) : state;
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
	if (!relay->is_open) {
		if (host->now_ms - relay->since_ms <= host->handshake_ms)
			return false;
		counter_add(&host->counts->failed[TLS_HANDSHAKE_TIMEOUT], 1);
		return true;
	}
	note_what_was_taken(relay);
	if (wire_owes(&relay->wire) || (host->is_draining && relay->unacked))
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
