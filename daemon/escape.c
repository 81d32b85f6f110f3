/* Texts from outside within HTML and JSON; see escape.h. */
#include "escape.h"

#include <stdint.h>
#include <string.h>

#include "unicode.h"

static const char replacement[] = "\xef\xbf\xbd";

/* The bytes of the character at text, or 0 when it is none, or a control of the second set. */
static size_t character_size(const char *text)
{
	uint32_t character;
	size_t size = unicode_decode(text, &character);

	return size && character >= 0x7f && character <= 0x9f ? 0 : size;
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
		size_t size = character_size(text);
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
