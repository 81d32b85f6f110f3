/* WWW-Authenticate; see challenge.h. */
#include "oci/challenge.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* RFC 9110, section 5.6.2 */
static size_t token_size(const char *text)
{
	return strspn(text, "!#$%&'*+-.^_`|~0123456789"
	                    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

static const char *skip_space(const char *text)
{
	return text + strspn(text, " \t");
}

/* The end of a token68 (section 11.2) that fills the rest of a challenge, else NULL. */
static const char *token68_end(const char *text)
{
	const char *end = text + strspn(text, "-._~+/0123456789abcdefghijklmnopqrstuvwxyz"
	                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	if (end == text)
		return NULL;
	end = skip_space(end + strspn(end, "="));
	return !*end || *end == ',' ? end : NULL;
}

/*
 * Copy a token or quoted-string (section 5.6.4) to out. Returns its end, or NULL
 * when it is neither or doesn't fit.
 */
static const char *read_value(const char *text, char *out, size_t room)
{
	size_t used = 0;

	if (*text != '"') {
		used = token_size(text);
		if (!used || used >= room)
			return NULL;
		memcpy(out, text, used);
		out[used] = '\0';
		return text + used;
	}
	for (text++; *text != '"'; text++) {
		if (*text == '\\')
			text++;
		if (!*text || used + 1 >= room)
			return NULL;
		out[used++] = *text;
	}
	out[used] = '\0';
	return text + 1;
}

static void keep_first(char *out, size_t room, const char *value)
{
	if (!out[0] && strlen(value) < room)
		memcpy(out, value, strlen(value) + 1);
}

static void set_parameter(struct challenge *bearer, const char *name, size_t size,
                          const char *value)
{
	if (size == 5 && !strncasecmp(name, "realm", size))
		keep_first(bearer->realm, sizeof(bearer->realm), value);
	else if (size == 7 && !strncasecmp(name, "service", size))
		keep_first(bearer->service, sizeof(bearer->service), value);
	else if (size == 5 && !strncasecmp(name, "scope", size))
		keep_first(bearer->scope, sizeof(bearer->scope), value);
}

/*
 * Read auth-params up to the next scheme or the end into *out. Returns where it
 * stopped, or NULL on a broken one. A name without "=" is the next scheme.
 */
static const char *read_parameters(const char *text, struct challenge *out)
{
	char value[CHALLENGE_REALM_SIZE];

	for (;;) {
		const char *name, *after;
		size_t size;

		text += strspn(text, " \t,");
		name = text;
		size = token_size(name);
		if (!size)
			return *text ? NULL : text;
		after = skip_space(name + size);
		if (*after != '=')
			return text;
		text = read_value(skip_space(after + 1), value, sizeof(value));
		if (!text)
			return NULL;
		set_parameter(out, name, size, value);
		text = skip_space(text);
		if (*text && *text != ',')
			return NULL;
	}
}

static void take_bearer(struct challenge *challenge, const struct challenge *found)
{
	bool basic = challenge->basic;

	if (challenge->bearer || !found->realm[0])
		return;
	*challenge = *found;
	challenge->bearer = true;
	challenge->basic = basic;
}

void challenge_add(struct challenge *challenge, const char *header)
{
	const char *text = header;

	for (;;) {
		struct challenge found = { .basic = false };
		const char *scheme, *token68;
		size_t size;

		text += strspn(text, " \t,");
		scheme = text;
		size = token_size(scheme);
		if (!size)
			return;
		text = skip_space(scheme + size);
		if (*text && *text != ',' && text == scheme + size)
			return;
		token68 = text == scheme + size ? NULL : token68_end(text);
		text = token68 ? token68 : read_parameters(text, &found);
		if (!text)
			return;
		if (size == 5 && !strncasecmp(scheme, "Basic", size))
			challenge->basic = true;
		else if (size == 6 && !strncasecmp(scheme, "Bearer", size))
			take_bearer(challenge, &found);
	}
}
