/* Link headers; see link.h. */
#include "oci/link.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

static const char *skip_space(const char *text)
{
	return text + strspn(text, " \t");
}

/* Whether a relation type stands in a list of them, separated by spaces (section 3.3). */
static bool names_next(const char *list, size_t size)
{
	const char *end = list + size;

	while (list < end) {
		size_t word = 0;

		while (list + word < end && !strchr(" \t", list[word]))
			word++;
		if (word == 4 && !strncasecmp(list, "next", word))
			return true;
		list += word + 1;
	}
	return false;
}

/* The end of a parameter's value: a quoted-string or what goes on to ";" or ",". */
static const char *value_end(const char *text)
{
	if (*text != '"')
		return text + strcspn(text, ";, \t");
	for (text++; *text && *text != '"'; text++) {
		if (*text == '\\' && text[1])
			text++;
	}
	return *text ? text + 1 : text;
}

/* Read one link's parameters. Returns the "," or the end behind them. */
static const char *read_parameters(const char *text, bool *out_next)
{
	bool seen = false;

	*out_next = false;
	for (;;) {
		const char *name, *value, *end;
		size_t size;

		text = skip_space(text);
		if (*text != ';')
			return text + strcspn(text, ",");
		name = skip_space(text + 1);
		size = strcspn(name, "=;, \t");
		text = skip_space(name + size);
		if (*text != '=')
			continue;
		value = skip_space(text + 1);
		end = value_end(value);
		text = end;
		/* Section 3.3: of several rel the first counts. */
		if (size != 3 || strncasecmp(name, "rel", size) || seen)
			continue;
		seen = true;
		if (*value == '"' && end - value >= 2)
			*out_next = names_next(value + 1, (size_t)(end - value) - 2);
		else
			*out_next = names_next(value, (size_t)(end - value));
	}
}

char *link_next(const char *header)
{
	const char *text = header;

	for (;;) {
		const char *target;
		size_t size;
		bool next;

		text += strspn(text, " \t,");
		if (*text != '<')
			return NULL;
		target = text + 1;
		size = strcspn(target, ">");
		if (!target[size])
			return NULL;
		text = read_parameters(target + size + 1, &next);
		if (next)
			return strndup(target, size);
	}
}

char *link_resolve(const char *page, const char *target, struct err *err)
{
	CLEANUP(cleanup_free) char *url = url_resolve(page, target, err);
	char host[URL_PLACE_SIZE];
	struct place from, to;
	bool same;

	if (!url || url_place(page, &from, err) || url_place(url, &to, err))
		return NULL;
	same = place_equal(&from, &to) ||
	       (from.secure && !to.secure && to.port == 80 && !strcmp(from.host, to.host));
	if (!same) {
		(void)err_set(err, ERR_FORMAT, "the next page is said to be at another host, %s",
		              place_format(&to, host));
		return NULL;
	}
	return url_move(url, page, err);
}
