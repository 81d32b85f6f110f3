/* The order of tags: SemVer 2.0, section 11; see store_tag_compare in storage.h. */
#include <stdbool.h>
#include <string.h>

#include "storage.h"

/* A number without leading zeros, of any length: digits[0..length). */
struct number {
	const char *digits;
	size_t length;
};

struct version {
	struct number core[3];
	const char *pre; /* pre-release identifiers, or NULL */
	size_t pre_length;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_identifier(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static struct number number_of(const char *digits, size_t length)
{
	while (length > 1 && *digits == '0') {
		digits++;
		length--;
	}
	return (struct number){ digits, length };
}

static int compare_numbers(struct number a, struct number b)
{
	if (a.length != b.length)
		return a.length < b.length ? -1 : 1;
	return memcmp(a.digits, b.digits, a.length);
}

/* The length of dot-separated identifiers at text (up to '+' or the end); 0 when malformed. */
static size_t identifiers(const char *text)
{
	size_t length = 0;
	bool empty = true;

	for (; text[length] && text[length] != '+'; length++) {
		if (text[length] == '.') {
			if (empty)
				return 0;
			empty = true;
		} else if (is_identifier(text[length])) {
			empty = false;
		} else {
			return 0;
		}
	}
	return empty ? 0 : length;
}

/*
 * A tag's grammar has no '+', so registries' users write build metadata in
 * other ways; those are part of the pre-release or no version at all.
 */
static bool parse(const char *tag, struct version *version)
{
	const char *at = *tag == 'v' || *tag == 'V' ? tag + 1 : tag;
	unsigned count = 0;

	*version = (struct version){ .core = { { "0", 1 }, { "0", 1 }, { "0", 1 } } };
	do {
		const char *start = at += count > 0;

		while (is_digit(*at))
			at++;
		if (at == start)
			return false;
		version->core[count++] = number_of(start, (size_t)(at - start));
	} while (*at == '.' && count < 3);
	if (*at == '-') {
		version->pre = ++at;
		version->pre_length = identifiers(at);
		if (!version->pre_length)
			return false;
		at += version->pre_length;
	}
	return !*at;
}

/* Section 11.4: numeric identifiers are less than others; fewer identifiers are less. */
static int compare_identifiers(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t a_digits = 0, b_digits = 0, shorter = a_length < b_length ? a_length : b_length;
	int order;

	while (a_digits < a_length && is_digit(a[a_digits]))
		a_digits++;
	while (b_digits < b_length && is_digit(b[b_digits]))
		b_digits++;
	if (a_digits == a_length && b_digits == b_length)
		return compare_numbers(number_of(a, a_length), number_of(b, b_length));
	if (a_digits == a_length || b_digits == b_length)
		return a_digits == a_length ? -1 : 1;
	order = memcmp(a, b, shorter);
	if (order)
		return order;
	return a_length < b_length ? -1 : a_length > b_length;
}

static size_t until_dot(const char *text, size_t length)
{
	const char *dot = memchr(text, '.', length);

	return dot ? (size_t)(dot - text) : length;
}

static int compare_pre(const struct version *a, const struct version *b)
{
	const char *x = a->pre, *y = b->pre;
	size_t x_left = a->pre_length, y_left = b->pre_length;

	if (!x || !y) /* section 11.3: a pre-release comes before its release */
		return x ? -1 : y != NULL;
	for (;;) {
		size_t x_one = until_dot(x, x_left), y_one = until_dot(y, y_left);
		int order = compare_identifiers(x, x_one, y, y_one);

		if (order)
			return order;
		if (x_one == x_left || y_one == y_left)
			return x_one == x_left ? (y_one == y_left ? 0 : -1) : 1;
		x += x_one + 1;
		y += y_one + 1;
		x_left -= x_one + 1;
		y_left -= y_one + 1;
	}
}

static int compare_versions(const struct version *a, const struct version *b)
{
	int order = 0;

	for (unsigned i = 0; !order && i < 3; i++)
		order = compare_numbers(a->core[i], b->core[i]);
	return order ? order : compare_pre(a, b);
}

int store_version_compare(const char *a, const char *b)
{
	struct version x, y;
	bool a_is = parse(a, &x);
	bool b_is = parse(b, &y);

	if (!a_is || !b_is)
		return a_is - b_is;
	return compare_versions(&x, &y);
}

int store_tag_compare(const char *a, const char *b)
{
	int order = store_version_compare(a, b);

	return order ? order : strcmp(a, b);
}

enum store_tag_kind store_tag_kind(const char *tag)
{
	struct version version;

	if (!parse(tag, &version))
		return STORE_TAG_NO_VERSION;
	return version.pre ? STORE_TAG_PRE_RELEASE : STORE_TAG_VERSION;
}
