/*
 * One question to an HTTP server and its answer, with the rules for what of an
 * answer is taken. transport.h moves them; nothing here knows about sockets.
 *
 *	struct exchange exchange = { .method = EXCHANGE_GET, .url = url, … };
 *	transport_ask(transport, &exchange);
 *	if (exchange.failed) … exchange.err …
 *	else … exchange.status, exchange_header(), exchange.body …
 *	exchange_release(&exchange);
 */
#ifndef SPECMAN_OCI_EXCHANGE_H
#define SPECMAN_OCI_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "oci/oci.h"
#include "oci/url.h"

enum exchange_method { EXCHANGE_GET, EXCHANGE_HEAD, EXCHANGE_POST, EXCHANGE_PUT, EXCHANGE_PATCH };

enum { EXCHANGE_ANY_SIZE = -1 };

/* One more header line of a question. */
struct exchange_line {
	const char *name, *value;
};

/* AWS Signature Version 4, made by libcurl over all lines of the question and its body. */
struct exchange_signature {
	const char *scope; /* "aws:amz:<region>:<service>" */
	const char *access_key;
	const char *secret_key;
};

/* A body that is a part of a file: read as it is sent, never held. */
struct exchange_upload {
	int fd;
	int64_t offset, size; /* bytes of the file */
	/* Told how many of size libcurl has taken; may go back when a connection is replaced. */
	void (*sent)(void *ctx, int64_t bytes);
	void *ctx;
};

struct exchange {
	/* The question. The strings are the asker's and stay until the answer is there. */
	enum exchange_method method;
	const char *url;
	const char *accept;                   /* or NULL */
	const char *authorization;            /* or NULL; sent to the place of url alone */
	const char *form;                     /* the body of a POST, PUT or PATCH; or NULL */
	const char *secret;                   /* what of form or lines nobody may see; or NULL */
	const struct exchange_upload *upload; /* the body instead of form, or NULL */
	const char *content_type;             /* of the body; NULL: that of a form */
	const struct exchange_line *lines;    /* sent to the place of url alone */
	size_t line_count;
	const struct exchange_signature *signature; /* or NULL; not with authorization */
	bool follow;                                /* redirects */
	bool direct;                                /* never by a proxy */
	bool may_be_plain;    /* http is allowed here, whatever holds for the registry */
	long connect_ms;      /* or 0: LIMIT_CONNECT_MS */
	long answer_ms;       /* or 0: LIMIT_ANSWER_MS; not for uploads and large sizes */
	long idle_s;          /* with hardly a byte either way; or 0: that of the transport */
	int64_t size;         /* that the body of a 200 must have, or EXCHANGE_ANY_SIZE */
	int64_t offset;       /* with a size: bytes of it that the sink has already */
	size_t max_bytes;     /* that the body of a 200 may have when size is any */
	struct oci_sink sink; /* where the body of a 200 goes; without write: to body */

	/*
	 * With an offset the rest alone is asked for (RFC 9110, section 14.2). A
	 * server may send the rest (206), or all of it (200): the sink gets the rest
	 * in both cases.
	 */

	/* The answer. */
	int failed; /* -1: there is none, err says why */
	struct err err;
	long status;  /* of the last answer; redirects that were followed don't count */
	bool foreign; /* it came, by a redirect, from another place than url's */
	char host[URL_PLACE_SIZE]; /* where it came from */
	struct buf headers;        /* its header lines, each ended by NUL */
	struct buf body;           /* a 200's without sink; else the start of an error's body */
	int64_t received;          /* bytes of its body */

	/* For exchange.c and transport.c. */
	size_t header_bytes;
	bool headers_ended;
	bool enough;  /* the rest of the body is of no interest */
	int64_t sent; /* bytes of the upload */
};

/* Free what the answer holds and make ready to ask again. The question stays. */
void exchange_release(struct exchange *exchange);

/* The nth (0, 1, …) value of a header of the answer, without outer white space, or NULL. */
const char *exchange_header(const struct exchange *exchange, const char *name, size_t nth);

/*
 * Give the next bytes of the upload, at most room. *out_size 0: that was all. -1: the
 * file can't be read, or has become shorter: end the transfer.
 */
MUST_CHECK int exchange_give_body(struct exchange *exchange, void *bytes, size_t room,
                                  size_t *out_size);

/* Record a failure, the first one only. Always -1. */
int exchange_fail(struct exchange *exchange, const struct err *err);

/* Take a line as libcurl gives it. -1: end the transfer. */
MUST_CHECK int exchange_take_line(struct exchange *exchange, const char *line, size_t size);

/*
 * Take bytes of the body. length is the Content-Length or -1. -1: end the
 * transfer, because of a failure or because it is `enough`.
 */
MUST_CHECK int exchange_take_body(struct exchange *exchange, long status, int64_t length,
                                  const void *bytes, size_t size);

/*
 * All bytes are there: check that they are as many as announced. Failures go to
 * exchange. In the body of an error, what Authorization said and the secret become
 * asterisks, also as JSON or a form has them.
 */
void exchange_end(struct exchange *exchange, long status, int64_t length);

#endif
