/* Texts from outside within HTML and JSON; see escape.h. */
#include "escape.h"

#include <stdint.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd";

/* The bytes of the character at text (RFC 3629), or 0 when it is none. */
static size_t character_size(const unsigned char *text)
{
	static const struct {
		unsigned char mask, mark;
		uint32_t least;
	} forms[] = { { 0x80, 0x00, 0 },
		      { 0xe0, 0xc0, 0x80 },
		      { 0xf0, 0xe0, 0x800 },
		      { 0xf8, 0xf0, 0x10000 } };

	for (size_t size = 1; size <= 4; size++) {
		uint32_t value = text[0] & (unsigned char)~forms[size - 1].mask;

		if ((text[0] & forms[size - 1].mask) != forms[size - 1].mark)
			continue;
		for (size_t i = 1; i < size; i++) {
			if ((text[i] & 0xc0) != 0x80)
				return 0;
			value = value << 6 | (text[i] & 0x3f);
		}
		/* Shortest form, no surrogate, no control character of the second set. */
		return value >= forms[size - 1].least && value <= 0x10ffff &&
		                       (value < 0xd800 || value > 0xdfff) &&
		                       (value < 0x7f || value > 0x9f)
		               ? size
		               : 0;
	}
	return 0;
}

typedef const char *escaper(char c);

static const char *html_escape(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	default:
		return (unsigned char)c < ' ' ? replacement : NULL;
	}
}

static const char *json_escape(char c)
{
	switch (c) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\n':
		return "\\n";
	case '\t':
		return "\\t";
	default:
		return (unsigned char)c < ' ' ? replacement : NULL;
	}
}

static int escape(struct buf *page, const char *text, escaper *escaped, struct err *err)
{
	while (*text) {
		size_t size = character_size((const unsigned char *)text);
		const char *by = size ? escaped(*text) : replacement;

		if (by ? buf_add(page, by, strlen(by), err) : buf_add(page, text, size, err))
			return -1;
		text += size ? size : 1;
	}
	return 0;
}

static const char *plain_escape(char c)
{
	return (unsigned char)c < ' ' ? replacement : NULL;
}

int escape_utf8(struct buf *page, const char *text, struct err *err)
{
	return escape(page, text, plain_escape, err);
}

int escape_html(struct buf *page, const char *text, struct err *err)
{
	return escape(page, text, html_escape, err);
}

int escape_json(struct buf *page, const char *text, struct err *err)
{
	return escape(page, text, json_escape, err);
}
