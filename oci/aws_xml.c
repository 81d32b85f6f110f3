/* XML elements; see aws_xml.h. */
#include "oci/aws_xml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/limits.h"

enum { TAG_SIZE = 80 };

static const struct {
	const char *name;
	char character;
} entities[] = {
	{ "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&quot;", '"' }, { "&apos;", '\'' },
};

/* The size of the entity at text, or 0: none that is known. */
static size_t entity(const char *text, size_t size, char *out)
{
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		size_t length = strlen(entities[i].name);

		if (size >= length && !memcmp(text, entities[i].name, length)) {
			*out = entities[i].character;
			return length;
		}
	}
	return 0;
}

static int decode(const char *text, size_t size, char *out, const char *name, struct err *err)
{
	while (size) {
		size_t step = 1;

		*out = *text;
		if (*text == '&')
			step = entity(text, size, out);
		if (!step || *text == '<' || !*text)
			return err_set(err, ERR_FORMAT, "XML element %s is not just text", name);
		out++;
		text += step;
		size -= step;
	}
	*out = '\0';
	return 0;
}

char *aws_xml_text(const char *body, size_t size, const char *name, struct err *err)
{
	char open[TAG_SIZE], close[TAG_SIZE];
	CLEANUP(cleanup_free) char *text = NULL;
	const char *start, *end = NULL;

	(void)snprintf(open, sizeof(open), "<%s>", name);
	(void)snprintf(close, sizeof(close), "</%s>", name);
	start = memmem(body, size, open, strlen(open));
	if (start) {
		start += strlen(open);
		end = memmem(start, size - (size_t)(start - body), close, strlen(close));
	}
	if (!end) {
		(void)err_set(err, ERR_NOT_FOUND, "XML element %s is not there", name);
		return NULL;
	}
	if (end - start > LIMIT_AWS_KEY_BYTES) {
		(void)err_set(err, ERR_LIMIT, "XML element %s is longer than %d bytes", name,
		              LIMIT_AWS_KEY_BYTES);
		return NULL;
	}
	text = malloc((size_t)(end - start) + 1);
	if (!text) {
		(void)err_set_sys(err, ENOMEM, "XML element");
		return NULL;
	}
	if (decode(start, (size_t)(end - start), text, name, err))
		return NULL;
	return STEAL(text);
}
