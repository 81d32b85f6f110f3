/* Rules for answers; see exchange.h. */
#include "oci/exchange.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "oci/limits.h"

void exchange_release(struct exchange *exchange)
{
	buf_release(&exchange->headers);
	buf_release(&exchange->body);
	exchange->failed = 0;
	exchange->status = 0;
	exchange->foreign = false;
	exchange->host[0] = '\0';
	exchange->received = 0;
	exchange->header_bytes = 0;
	exchange->headers_ended = false;
	exchange->enough = false;
	exchange->sent = 0;
}

const char *exchange_header(const struct exchange *exchange, const char *name, size_t nth)
{
	const char *line = exchange->headers.data;
	size_t size = strlen(name);

	if (!line)
		return NULL;
	for (const char *end = line + exchange->headers.size; line < end;
	     line += strlen(line) + 1) {
		if (strncasecmp(line, name, size) || line[size] != ':' || nth--)
			continue;
		line += size + 1;
		return line + strspn(line, " \t");
	}
	return NULL;
}

int exchange_fail(struct exchange *exchange, const struct err *err)
{
	if (!exchange->failed) {
		exchange->failed = -1;
		exchange->err = *err;
	}
	return -1;
}

/* An answer of its own: the one before was 1xx, or led to this one. */
static void start_answer(struct exchange *exchange)
{
	buf_clear(&exchange->headers);
	buf_clear(&exchange->body);
	exchange->headers_ended = false;
	exchange->received = 0;
}

int exchange_take_line(struct exchange *exchange, const char *line, size_t size)
{
	struct err err;

	exchange->headers.max = LIMIT_HEADER_BYTES;
	exchange->header_bytes += size;
	if (exchange->header_bytes > LIMIT_HEADER_BYTES) {
		(void)err_set(&err, ERR_LIMIT, "more than %d bytes of header lines",
		              LIMIT_HEADER_BYTES);
		return exchange_fail(exchange, &err);
	}
	while (size && strchr(" \t\r\n", line[size - 1]) && line[size - 1])
		size--;
	if ((exchange->headers_ended || !exchange->headers.size) && size >= 5 &&
	    !strncmp(line, "HTTP/", 5)) {
		start_answer(exchange);
	} else if (!size) {
		exchange->headers_ended = true;
		return 0;
	}
	/* What comes behind the body (RFC 9110, section 6.5) changes no answer. */
	if (exchange->headers_ended || memchr(line, '\0', size))
		return 0;
	if (buf_add(&exchange->headers, line, size, &err) ||
	    buf_add(&exchange->headers, "", 1, &err))
		return exchange_fail(exchange, &err);
	return 0;
}

/* An error's body: as much of it as can be of use to somebody. */
static int take_error(struct exchange *exchange, const void *bytes, size_t size)
{
	size_t room = LIMIT_ERROR_BYTES - exchange->body.size;
	struct err err;

	exchange->body.max = LIMIT_ERROR_BYTES;
	if (buf_add(&exchange->body, bytes, size < room ? size : room, &err))
		return exchange_fail(exchange, &err);
	exchange->enough = size >= room;
	return exchange->enough ? -1 : 0;
}

static bool is_wanted(const struct exchange *exchange, long status)
{
	return status == 200 || (status == 206 && exchange->offset > 0);
}

/* Where in the whole the body of the answer begins. */
static int64_t begin_of(const struct exchange *exchange, long status)
{
	return status == 206 ? exchange->offset : 0;
}

/* What follows "/" in a Content-Range: the size of the whole, or "*". */
static bool is_size(const char *text, int64_t size)
{
	char wanted[24];

	(void)snprintf(wanted, sizeof(wanted), "%" PRId64, size);
	return !strcmp(text, "*") || !strcmp(text, wanted);
}

/* RFC 9110, section 14.4: "bytes FIRST-LAST/SIZE" of a 206 is what was asked for. */
static int check_range(struct exchange *exchange, long status)
{
	const char *range = exchange_header(exchange, "Content-Range", 0);
	char wanted[64];
	struct err err;

	if (status != 206 || exchange->received)
		return 0;
	(void)snprintf(wanted, sizeof(wanted), "bytes %" PRId64 "-%" PRId64 "/", exchange->offset,
	               exchange->size - 1);
	if (range && !strncasecmp(range, wanted, strlen(wanted)) &&
	    is_size(range + strlen(wanted), exchange->size))
		return 0;
	(void)err_set(&err, ERR_FORMAT, "asked for %s it sent another part: %.60s", wanted,
	              range ? range : "without Content-Range");
	return exchange_fail(exchange, &err);
}

static int check_length(struct exchange *exchange, long status, int64_t length)
{
	int64_t expected = exchange->size - begin_of(exchange, status);
	struct err err;

	if (exchange->size < 0 || length < 0 || length == expected)
		return 0;
	(void)err_set(&err, ERR_DIGEST,
	              "it has %" PRId64 " bytes (Content-Length) instead of the %" PRId64
	              "%s of its descriptor",
	              length, expected, expected == exchange->size ? "" : " left");
	return exchange_fail(exchange, &err);
}

/* Count what comes: a length that was announced proves nothing, one that wasn't even less. */
static int check_room(struct exchange *exchange, long status, size_t size)
{
	struct err err;

	exchange->received += (int64_t)size;
	if (exchange->size >= 0 &&
	    exchange->received > exchange->size - begin_of(exchange, status)) {
		(void)err_set(&err, ERR_DIGEST,
		              "it has more than the %" PRId64 " bytes of its descriptor",
		              exchange->size);
		return exchange_fail(exchange, &err);
	}
	if (exchange->size < 0 && exchange->received > (int64_t)exchange->max_bytes) {
		(void)err_set(&err, ERR_LIMIT, "the answer has more than the %zu bytes allowed",
		              exchange->max_bytes);
		return exchange_fail(exchange, &err);
	}
	return 0;
}

/* The sink has what is before offset: of an answer with the whole, that part is let go. */
static const char *skip_known(const struct exchange *exchange, long status, const char *bytes,
                              size_t *size)
{
	int64_t behind = exchange->received - exchange->offset;

	if (status == 206 || behind >= (int64_t)*size)
		return bytes;
	bytes += behind > 0 ? *size - (size_t)behind : *size;
	*size = behind > 0 ? (size_t)behind : 0;
	return bytes;
}

int exchange_take_body(struct exchange *exchange, long status, int64_t length, const void *bytes,
                       size_t size)
{
	struct err err;

	if (!is_wanted(exchange, status))
		return take_error(exchange, bytes, size);
	if (check_range(exchange, status) || check_length(exchange, status, length) ||
	    check_room(exchange, status, size))
		return -1;
	bytes = skip_known(exchange, status, bytes, &size);
	if (exchange->sink.write) {
		if (!size)
			return 0;
		if (exchange->sink.write(exchange->sink.ctx, bytes, size, &err))
			return exchange_fail(exchange, &err);
		return 0;
	}
	exchange->body.max = exchange->max_bytes;
	if (buf_add(&exchange->body, bytes, size, &err))
		return exchange_fail(exchange, &err);
	return 0;
}

int exchange_give_body(struct exchange *exchange, void *bytes, size_t room, size_t *out_size)
{
	const struct exchange_upload *upload = exchange->upload;
	int64_t left = upload->size - exchange->sent;
	size_t wanted = (int64_t)room < left ? room : (size_t)left;
	struct err err;
	ssize_t size;

	do
		size = pread(upload->fd, bytes, wanted, (off_t)(upload->offset + exchange->sent));
	while (size < 0 && errno == EINTR);
	if (size < 0)
		(void)err_set_sys(&err, errno, "read what is to be sent");
	else if (!size && wanted)
		(void)err_set(&err, ERR_IO, "what is to be sent has become shorter meanwhile");
	if (size < 0 || (!size && wanted))
		return exchange_fail(exchange, &err);
	exchange->sent += size;
	if (upload->sent)
		upload->sent(upload->ctx, exchange->sent);
	*out_size = (size_t)size;
	return 0;
}

/*
 * How many bytes of text say a character, or 0: as it is; in JSON "\/" and "\u0026", which
 * Go's encoder makes of "&"; in a form "%2F".
 */
static size_t says(const char *text, size_t size, char c)
{
	char way[8] = "";

	if (!size || *text == c)
		return size ? 1 : 0;
	if (size > 1 && *text == '\\' && text[1] == c)
		return 2;
	if (*text == '\\')
		(void)snprintf(way, sizeof(way), "\\u%04x", (unsigned char)c);
	else if (*text == '%')
		(void)snprintf(way, sizeof(way), "%%%02x", (unsigned char)c);
	return strlen(way) <= size && !strncasecmp(text, way, strlen(way)) ? strlen(way) : 0;
}

/* How many bytes of text say the secret, or 0. */
static size_t repeats(const char *text, size_t size, const char *secret)
{
	size_t used = 0;

	for (; *secret; secret++) {
		size_t more = says(text + used, size - used, *secret);

		if (!more)
			return 0;
		used += more;
	}
	return used;
}

/* Some servers show what they were asked. That goes into a log, and who asked must not. */
static void hide(struct exchange *exchange, const char *secret)
{
	struct buf *body = &exchange->body;

	if (!secret || !*secret)
		return;
	for (size_t i = 0; i < body->size; i++) {
		size_t used = repeats(body->data + i, body->size - i, secret);

		memset(body->data + i, '*', used);
		i += used ? used - 1 : 0;
	}
}

static void hide_secrets(struct exchange *exchange)
{
	const char *space = exchange->authorization ? strchr(exchange->authorization, ' ') : NULL;

	hide(exchange, space ? space + 1 : exchange->authorization);
	hide(exchange, exchange->secret);
}

void exchange_end(struct exchange *exchange, long status, int64_t length)
{
	int64_t end = exchange->received + begin_of(exchange, status);
	struct err err;

	exchange->status = status;
	if (!is_wanted(exchange, status))
		hide_secrets(exchange);
	if (!is_wanted(exchange, status) || exchange->method == EXCHANGE_HEAD || exchange->size < 0)
		return;
	if (check_length(exchange, status, length) || end == exchange->size)
		return;
	(void)err_set(&err, ERR_NETWORK, "broken off after %" PRId64 " of %" PRId64 " bytes", end,
	              exchange->size);
	(void)err_cause(&err, OCI_CAUSE_BROKEN_OFF);
	(void)exchange_fail(exchange, &err);
}
