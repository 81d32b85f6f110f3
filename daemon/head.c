/* The head of a request; see head.h. */
#include "head.h"

#include <string.h>
#include <strings.h>

#include "target.h"

/* RFC 9110, section 5.6.2. */
static bool is_token(const char *text, size_t length)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      (c && strchr(marks, c))))
			return false;
	}
	return length > 0;
}

/* Section 5.5: no control characters but the tab. */
static bool is_value(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static size_t trimmed_length(const char *value)
{
	size_t length = strlen(value);

	while (length && (value[length - 1] == ' ' || value[length - 1] == '\t'))
		length--;
	return length;
}

/* METHOD SP TARGET SP VERSION, with one blank each. *out_fields is where the first field begins. */
static enum head_verdict read_request_line(const struct head_bytes *head, bool *out_is_1_0,
                                           const char **out_fields)
{
	size_t method = strnlen(head->bytes, head->size);
	const char *end = head->bytes + head->size;

	if (head->target != head->bytes + method + 1 || !is_token(head->bytes, method) ||
	    head->version != head->target + head->target_length + 1 || end - head->version < 10 ||
	    strncmp(head->version, "HTTP/1.", 7) != 0 || head->version[8] || head->version[9])
		return HEAD_MALFORMED;
	*out_is_1_0 = head->version[7] == '0';
	*out_fields = head->version + 10;
	return HEAD_FINE;
}

/* ---- fields ---- */

struct known {
	const char *name;
	size_t length;
	size_t single; /* offset of a char pointer */
	size_t list;   /* offset of a head_list */
};

#define SINGLE(name, field)                                                                        \
	{                                                                                          \
		name, sizeof(name) - 1, offsetof(struct head, field), 0                            \
	}
#define LIST(name, field)                                                                          \
	{                                                                                          \
		name, sizeof(name) - 1, 0, offsetof(struct head, field)                            \
	}

static const struct known known[] = {
	SINGLE("content-length", content_length),
	SINGLE("transfer-encoding", transfer_encoding),
	SINGLE("authorization", authorization),
	SINGLE("range", range),
	SINGLE("if-range", if_range),
	SINGLE("if-modified-since", if_modified_since),
	SINGLE("if-unmodified-since", if_unmodified_since),
	SINGLE("user-agent", user_agent),
	LIST("if-match", if_match),
	LIST("if-none-match", if_none_match),
	LIST("accept", accept),
	LIST("accept-encoding", accept_encoding),
};

static enum head_verdict note_single(struct head *head, size_t offset, const char *value)
{
	const char **field = (const char **)(void *)((char *)head + offset);

	if (*field)
		return HEAD_MALFORMED;
	*field = value;
	return HEAD_FINE;
}

static enum head_verdict note(struct head *head, const char *name, size_t length, const char *value)
{
	if (length == 4 && !strncasecmp(name, "host", 4))
		return note_single(head, offsetof(struct head, host), value);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct head_list *list;

		if (known[i].length != length || strncasecmp(name, known[i].name, length) != 0)
			continue;
		if (!known[i].list)
			return note_single(head, known[i].single, value);
		list = (struct head_list *)(void *)((char *)head + known[i].list);
		if (list->count == HEAD_LINES_MAX)
			return HEAD_TOO_LARGE;
		list->lines[list->count++] = value;
		break;
	}
	return HEAD_FINE;
}

/* NAME NUL VALUE NUL NUL, where the NULs were a colon, a carriage return and a line feed. */
static enum head_verdict read_field(const char **at, const char *end, struct head *head)
{
	const char *name = *at;
	size_t length = strnlen(name, (size_t)(end - name));
	const char *value = name + length + 1;
	const char *rest;

	if (end - value < 2 || !is_token(name, length))
		return HEAD_MALFORMED;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	rest = memchr(value, '\0', (size_t)(end - value));
	if (!rest || end - rest < 2 || rest[1] || !is_value(value, (size_t)(rest - value)))
		return HEAD_MALFORMED;
	*at = rest + 2;
	return note(head, name, length, value);
}

/* ---- what the fields say ---- */

/* uri-host [ ":" port ] (RFC 9112, section 3.2), or nothing. */
static bool is_host(const char *host)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._~%!$&'()*+,;=:[]";
	size_t length = trimmed_length(host);

	return length && strspn(host, allowed) >= length && *host != ':';
}

static enum head_verdict judge_content(const struct head *head, bool is_1_0)
{
	const char *length = head->content_length;
	const char *coding = head->transfer_encoding;

	if (coding && (length || is_1_0))
		return HEAD_MALFORMED;
	if (coding)
		return trimmed_length(coding) == 7 && !strncasecmp(coding, "chunked", 7)
		               ? HEAD_HAS_CONTENT
		               : HEAD_UNKNOWN_CODING;
	if (!length)
		return HEAD_FINE;
	if (!trimmed_length(length) || strspn(length, "0123456789") < trimmed_length(length))
		return HEAD_MALFORMED;
	return strspn(length, "0") == trimmed_length(length) ? HEAD_FINE : HEAD_HAS_CONTENT;
}

enum head_verdict head_read(const struct head_bytes *head, struct head *out_head)
{
	const char *end = head->bytes + head->size;
	const char *at = end;
	enum head_verdict verdict;
	size_t fields = 0;
	bool is_1_0 = false;

	memset(out_head, 0, sizeof(*out_head));
	if (head->target_length >= TARGET_MAX_BYTES)
		return HEAD_TARGET_TOO_LONG;
	if (head->size > HEAD_MAX_BYTES || head->fields > HEAD_FIELDS_MAX)
		return HEAD_TOO_LARGE;
	verdict = read_request_line(head, &is_1_0, &at);
	for (; verdict == HEAD_FINE && end - at > 2; fields++)
		verdict = read_field(&at, end, out_head);
	if (verdict != HEAD_FINE)
		return verdict;
	/* The end is an empty line; and the two who have read this must agree. */
	if (end - at != 2 || at[0] || at[1] || fields != head->fields)
		return HEAD_MALFORMED;
	if (out_head->host ? !is_host(out_head->host) : !is_1_0)
		return HEAD_MALFORMED;
	return judge_content(out_head, is_1_0);
}
