/*
 * tls: carries connections. It ends TLS with OpenSSL and offers the plain bytes
 * of each connection to a backend (libmicrohttpd, in practice) as a stream,
 * which is read and written as a non-blocking socket is. It has never heard of
 * HTTP.
 *
 *	client ══TLS══ [worker: OpenSSL, relay] ──stream── backend
 *
 * Each worker is one thread with its own listening sockets (SO_REUSEPORT), its
 * own epoll loop and its own instance of the backend, whose functions
 * are called on that thread (open before it starts, close after it has ended);
 * a connection never changes its worker. Nothing
 * here logs: what happens is told to the observer.
 */
#ifndef SPECMAN_TLS_H
#define SPECMAN_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/listen.h"

/*
 * The plain bytes of one connection. To be used by the backend's instance that
 * it was given to, within the calls of that instance's functions.
 */
struct tls_stream;

/*
 * As recv(2) of a non-blocking socket: bytes that were read, 0 at the end, -1
 * with errno EAGAIN or ECONNRESET. Less than was asked for is all there is.
 */
ssize_t tls_stream_read(struct tls_stream *stream, void *bytes, size_t size);

/*
 * As sendmsg(2): bytes that were taken, -1 with errno EAGAIN or EPIPE. What one
 * call takes leaves in one piece. After less than all, or EAGAIN, TLS_WRITABLE
 * follows.
 */
ssize_t tls_stream_write(struct tls_stream *stream, const struct iovec *parts, size_t count);

/* The request that was read is whole: from here on its answer takes the time, not the client. */
void tls_stream_heard(struct tls_stream *stream);

/* Nothing will be written any more: the client sees the end behind what was. */
void tls_stream_end(struct tls_stream *stream);

/* The same, and nothing will be read; the stream is no more. */
void tls_stream_close(struct tls_stream *stream);

/* What may be tried with a stream; bits. */
enum { TLS_READABLE = 1, TLS_WRITABLE = 2, TLS_GONE = 4 };

/* The reader of the plain bytes. One instance a worker. */
struct tls_backend {
	/* Make the instance of worker `index` (from 0). NULL with err filled on failure. */
	void *(*open)(void *ctx, unsigned index, struct err *err);
	/*
	 * A descriptor that polls readable until run() is called, for work that
	 * the worker can't know of: another thread has found an answer. Constant
	 * for an instance; -1 when there is never any.
	 */
	int (*fd)(void *instance);
	/*
	 * Take a connection, writable at first. Its name for ready(), or NULL to
	 * refuse it. peer, the client's address, is borrowed for the call.
	 */
	void *(*add)(void *instance, struct tls_stream *stream,
	             const struct sockaddr_storage *peer);
	/*
	 * Note what may be tried now, once for each change. After TLS_GONE (the
	 * client went, or was too slow) the stream is no more.
	 */
	void (*ready)(void *instance, void *name, unsigned what);
	/* Read, answer and write what can be done without waiting. */
	void (*run)(void *instance);
	/* Milliseconds until run() is due without any news, 0 for at once, -1 for never. */
	int (*timeout_ms)(void *instance);
	/* Requests that were read and whose answer is not written whole yet. */
	unsigned (*busy)(void *instance);
	/* The server stops: each answer from now on is its connection's last. May be NULL. */
	void (*drain)(void *instance);
	void (*close)(void *instance);
	void *ctx; /* for open */
};

/* Told from worker threads: must be thread-safe and quick. Any of them may be NULL. */
struct tls_observer {
	/* A handshake that failed for a reason worth knowing; peer is "ADDRESS:PORT". */
	void (*handshake_failed)(void *ctx, const char *peer, const char *reason);
	/* A connection is turned away; cap: "connections" or "connections from one address". */
	void (*refused)(void *ctx, const char *peer, const char *cap);
	void *ctx;
};

/* What a client CA is for. */
enum tls_client_auth {
	TLS_CLIENT_AUTH_REQUIRE, /* no connection without a certificate */
	TLS_CLIENT_AUTH_REQUEST, /* a client that shows none is served, a bad one is refused */
};

/* Borrowed during tls_server_start, but for backend.ctx and observer.ctx. */
struct tls_settings {
	const char *cert_file;      /* PEM chain; NULL: self-made, kept in state_dir */
	const char *key_file;       /* PEM, unencrypted */
	const char *client_ca_file; /* PEM: CAs of client certificates; NULL: none are asked for */
	enum tls_client_auth client_auth;
	const char *state_dir; /* an existing folder for the self-made CA and certificate */
	const struct listen_address *listen;
	size_t listen_count;
	unsigned workers;         /* at least 1 */
	unsigned max_connections; /* in all */
	unsigned max_per_address; /* from one address; an IPv6 /64 counts as one */
	int handshake_ms;         /* from accept to the end of the handshake */
	int head_ms;  /* from a request's first byte to its answer's, or tls_stream_heard */
	int stall_ms; /* a client that takes no byte of what is owed to it */
	int idle_ms;  /* neither side has sent anything */
	struct tls_backend backend;
	struct tls_observer observer;
};

struct tls_server;

/*
 * Load or make the certificate, open the sockets, start the workers.
 * ERR_CONFIG or ERR_FORMAT for certificate and key (names the file and what is
 * wrong: can't be read, no PEM, key is not the certificate's, …) and for the
 * client CA, ERR_IO for sockets and threads. TLS 1.2 and 1.3 only, ECDHE with AEAD ciphers, ALPN
 * "http/1.1" and "http/1.0" (RFC 7301), no renegotiation, no compression; session tickets with
 * keys that the workers share and that change with time.
 */
MUST_CHECK struct tls_server *tls_server_start(const struct tls_settings *settings,
                                               struct err *err);

/* The address that listener `index` of settings.listen is bound to. */
MUST_CHECK int tls_server_address(const struct tls_server *server, size_t index,
                                  struct listen_address *out_address, struct err *err);

/*
 * Look after certificate, key and client CA, about once a second: when their
 * files have changed (by name: a symbolic link that is swapped counts), new
 * connections get what the files have now, and those that are open go on as
 * they are. A self-made certificate is renewed in time, too, and the keys of
 * session tickets are changed. One thread at a time.
 *
 * Returns 1 when something new was taken, 0 when not. -1: what the files have
 * can't be used (errors as tls_server_start), and the old state stays; told
 * again after a minute, or once the files change. A change is taken when it was
 * seen twice without another, or at once when the caller says so.
 */
MUST_CHECK int tls_server_refresh(struct tls_server *server, bool at_once, struct err *err);

/* Until when the certificate is good that new connections are shown; seconds since 1970. */
int64_t tls_server_not_after(const struct tls_server *server);

/* How a handshake ended that a connection began. */
enum tls_handshake {
	TLS_HANDSHAKE_FAILED,  /* no agreement, or a certificate that is not trusted */
	TLS_HANDSHAKE_GONE,    /* the client went away, maybe without a word */
	TLS_HANDSHAKE_TIMEOUT, /* it took longer than handshake_ms */
	TLS_HANDSHAKE_ENDS
};

enum tls_version { TLS_VERSION_12, TLS_VERSION_13, TLS_VERSIONS };

/* What a connection was turned away for. */
enum tls_cap { TLS_CAP_ALL, TLS_CAP_ADDRESS, TLS_CAPS };

/* Figures since the start. */
struct tls_counters {
	uint64_t accepted; /* connections; those that were turned away are not in it */
	uint64_t open;     /* now */
	uint64_t refused[TLS_CAPS];
	uint64_t handshakes[TLS_VERSIONS]; /* that were done, resumed ones too */
	uint64_t resumed[TLS_VERSIONS];    /* of these */
	uint64_t failed[TLS_HANDSHAKE_ENDS];
	uint64_t written_bytes; /* plain bytes that backends gave and were taken */
};

/* Any thread, cheap. The server may have been stopped. */
void tls_server_count(const struct tls_server *server, struct tls_counters *out_counters);

/* Whether every worker went round within the last within_ms milliseconds. */
bool tls_server_is_turning(const struct tls_server *server, int64_t within_ms);

/*
 * Accept nothing more and end: at once for connections that are idle or still
 * in their handshake, after their last byte for those whose answer is under
 * way, but within grace_ms, and not for clients that take no byte for 5 seconds. What has come
 * by then is heard. Returns when all threads have ended; the server may still be asked then.
 * NULL is fine.
 */
void tls_server_stop(struct tls_server *server, int grace_ms);

/* Free a server that was stopped; no other thread may use it any more. NULL is fine. */
void tls_server_free(struct tls_server *server);

/* What a certificate says of itself. */
struct tls_certificate {
	int64_t not_before; /* seconds since 1970 */
	int64_t not_after;
	bool has_name; /* it is good for the name that was asked about */
};

/* err.cause of tls_certificate_read and, for certificate and key, of tls_server_start. */
enum tls_cause {
	TLS_CAUSE_NONE = 0,
	TLS_CAUSE_CERTIFICATE, /* the file can't be used as one */
	TLS_CAUSE_KEY,         /* nor this as a key */
	TLS_CAUSE_OTHER_KEY,   /* each is fine, they don't belong together */
	TLS_CAUSE_KEY_KIND,    /* FIPS mode does not have this kind of key */
	TLS_CAUSE_CLIENT_CA,   /* the CA of client certificates can't be used */
};

/*
 * Load certificate and key as the server would, and say what they are. ERR_CONFIG
 * as tls_server_start. `name` is a DNS name (RFC 6125; wildcards are understood).
 */
MUST_CHECK int tls_certificate_read(const char *cert_file, const char *key_file, const char *name,
                                    struct tls_certificate *out_certificate, struct err *err);

/* The certificates of a file of client CAs. */
struct tls_client_ca {
	unsigned count;
	unsigned not_ca;   /* of them: certificates that may sign no others */
	unsigned expired;  /* of the rest */
	int64_t not_after; /* the first end among those that are good now; seconds since 1970 */
};

/* Load client CAs as the server would; ERR_CONFIG with TLS_CAUSE_CLIENT_CA as tls_server_start. */
MUST_CHECK int tls_client_ca_read(const char *file, struct tls_client_ca *out, struct err *err);

/*
 * The self-made CA, for ca.crt consumers: the PEM as a heap string, made on
 * first use together with the server's certificate (ECDSA P-256; CA 10 years,
 * server 397 days, renewed by the same CA when less than a third is left) in
 * state_dir, files of mode 0600: ca.crt ca.key tls.crt tls.key. The server's names
 * are localhost, 127.0.0.1, ::1, the host's name, and all forms of
 * specman-service[.hubble-system[.svc[.cluster.local]]] and
 * specman-0.specman[.hubble-system.svc.cluster.local]. Errors: ERR_IO,
 * ERR_FORMAT for a broken file in state_dir.
 */
MUST_CHECK char *tls_selfsigned_ca(const char *state_dir, struct err *err);

#endif
