/*
 * Ranges of versions; see semver_range.h. Everything that can be written comes
 * down to comparators of whole versions, which storage compares.
 */
#include "semver_range.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage.h"

enum {
	COMPARATORS_MAX = 64,
	DIGITS_MAX = 9,
	PRE_SIZE = 64,
	VERSION_SIZE = 3 * (DIGITS_MAX + 2) + PRE_SIZE,
	TOKEN_SIZE = VERSION_SIZE,
};

/* The first five are comparators; all are what a range may say. */
enum op { LESS, LESS_EQUAL, EQUAL, GREATER_EQUAL, GREATER, CARET, TILDE, OPS };

static const char *const op_texts[OPS] = {
	[LESS] = "<",    [LESS_EQUAL] = "<=", [EQUAL] = "=", [GREATER_EQUAL] = ">=",
	[GREATER] = ">", [CARET] = "^",       [TILDE] = "~",
};

struct comparator {
	enum op op;
	unsigned set; /* which side of || */
	char version[VERSION_SIZE];
};

struct semver_range {
	struct comparator at[COMPARATORS_MAX];
	size_t count;
	unsigned sets;
	bool takes_pre[COMPARATORS_MAX]; /* by set; each has a comparator at least */
};

/* A version as ranges write it: maybe not all its numbers. */
struct partial {
	unsigned long core[3];
	unsigned given; /* numbers that were; 0 for "*" */
	char pre[PRE_SIZE];
};

/* ---- reading ---- */

static int not_understood(const char *what, const char *why, struct err *err)
{
	return err_set(err, ERR_CONFIG, "\"%.80s\" is not understood (%s)", what, why);
}

static bool is_separator(char c)
{
	return c == ' ' || c == '\t' || c == ',';
}

static bool is_wildcard(char c)
{
	return c == 'x' || c == 'X' || c == '*';
}

/* The numbers of a partial version, from *at on; the first wildcard ends what is given. */
static int read_core(const char **at, const char *token, struct partial *partial, struct err *err)
{
	bool is_open = false;

	for (unsigned i = 0; i < 3; i++) {
		size_t digits = strspn(*at, "0123456789");

		if (is_wildcard(**at)) {
			is_open = true;
			(*at)++;
		} else if (!digits) {
			return not_understood(token, "a number, x or * is missing", err);
		} else if (is_open) {
			return not_understood(token, "a number follows a wildcard", err);
		} else if (digits > DIGITS_MAX) {
			return not_understood(token, "a number has more than 9 digits", err);
		} else {
			partial->core[i] = strtoul(*at, NULL, 10);
			partial->given++;
			*at += digits;
		}
		if (**at != '.' || i == 2)
			break;
		(*at)++;
	}
	return 0;
}

static int read_partial(const char *token, struct partial *out_partial, struct err *err)
{
	struct partial partial = { .given = 0 };
	const char *at = *token == 'v' || *token == 'V' ? token + 1 : token;
	char version[VERSION_SIZE];

	if (read_core(&at, token, &partial, err))
		return -1;
	if (*at == '-') {
		if (partial.given < 3) /* "4.4-4.6" would be one, of 4.4.0 */
			return not_understood(token,
			                      "a pre-release needs all three numbers, "
			                      "a range spaces around its -",
			                      err);
		if (strlen(at + 1) >= sizeof(partial.pre))
			return not_understood(token, "a long pre-release", err);
		(void)strcpy(partial.pre, at + 1);
		(void)snprintf(version, sizeof(version), "0.0.0%s", at);
		if (store_tag_kind(version) != STORE_TAG_PRE_RELEASE)
			return not_understood(token, "not a pre-release of SemVer 2.0", err);
	} else if (*at) {
		return not_understood(token, "it goes on after the version", err);
	}
	*out_partial = partial;
	return 0;
}

/* ---- comparators ---- */

static int add(struct semver_range *range, enum op op, const unsigned long core[3], const char *pre,
               struct err *err)
{
	struct comparator *comparator = &range->at[range->count];

	if (range->count == COMPARATORS_MAX)
		return err_set(err, ERR_CONFIG, "it has more than %d comparators", COMPARATORS_MAX);
	comparator->op = op;
	comparator->set = range->sets;
	(void)snprintf(comparator->version, sizeof(comparator->version), "%lu.%lu.%lu%s%s", core[0],
	               core[1], core[2], *pre ? "-" : "", pre);
	range->count++;
	return 0;
}

/*
 * Below the version that follows when the number at `place` goes up by one, and
 * below its pre-releases too ("-0" is the least of them). No place: no end.
 */
static int add_end(struct semver_range *range, const struct partial *partial, int place,
                   struct err *err)
{
	unsigned long core[3] = { 0, 0, 0 };

	if (place < 0)
		return 0;
	memcpy(core, partial->core, ((size_t)place + 1) * sizeof(core[0]));
	core[place]++;
	return add(range, LESS, core, "0", err);
}

static int add_from(struct semver_range *range, const struct partial *partial, struct err *err)
{
	return add(range, GREATER_EQUAL, partial->core, partial->pre, err);
}

/* ^: the number that may not change is the leftmost that is not 0, or the last given. */
static int caret_place(const struct partial *partial)
{
	int place = 0;

	while (place + 1 < (int)partial->given && !partial->core[place])
		place++;
	return partial->given ? place : -1;
}

/* From here to the end of what shares the numbers up to `place`. */
static int add_span(struct semver_range *range, const struct partial *partial, int place,
                    struct err *err)
{
	return add_from(range, partial, err) || add_end(range, partial, place, err) ? -1 : 0;
}

/* After everything that shares the given numbers; after "*" comes nothing. */
static int add_after(struct semver_range *range, const struct partial *partial, struct err *err)
{
	unsigned long next[3] = { 0, 0, 0 };

	if (!partial->given)
		return add(range, LESS, next, "0", err);
	memcpy(next, partial->core, partial->given * sizeof(next[0]));
	next[partial->given - 1]++;
	return add(range, GREATER_EQUAL, next, "", err);
}

static int add_comparator(struct semver_range *range, enum op op, const struct partial *partial,
                          struct err *err)
{
	int last = (int)partial->given - 1;

	if (op == CARET)
		return add_span(range, partial, caret_place(partial), err);
	if (op == TILDE)
		return add_span(range, partial, last > 1 ? 1 : last, err);
	if (partial->given == 3)
		return add(range, op, partial->core, partial->pre, err);
	switch (op) {
	case LESS:
		return add(range, LESS, partial->core, "0", err);
	case LESS_EQUAL:
		return last < 0 ? add_from(range, partial, err) /* "<=*": all */
		                : add_end(range, partial, last, err);
	case GREATER:
		return add_after(range, partial, err);
	case GREATER_EQUAL:
		return add_from(range, partial, err);
	default:
		return add_span(range, partial, last, err);
	}
}

/* ---- sets ---- */

/* Cut the next token off: up to a separator or "||". Its length; 0 at the end of the set. */
static size_t next_token(const char **at, char token[static TOKEN_SIZE], struct err *err)
{
	size_t length = 0;

	while (is_separator(**at))
		(*at)++;
	while ((*at)[length] && !is_separator((*at)[length]) && (*at)[length] != '|')
		length++;
	(void)snprintf(token, TOKEN_SIZE, "%.*s", (int)(length < TOKEN_SIZE ? length : 0), *at);
	if (length >= TOKEN_SIZE)
		(void)err_set(err, ERR_CONFIG, "\"%.40s…\" is too long", *at);
	*at += length;
	return length;
}

/* The "- 4.6" of "4.4 - 4.6": whether it follows, and then its end. */
static int read_hyphen(const char **at, struct partial *out_end, bool *out_is_span, struct err *err)
{
	const char *look = *at;
	char token[TOKEN_SIZE];
	size_t length = next_token(&look, token, err);

	*out_is_span = length == 1 && *token == '-';
	if (!*out_is_span)
		return 0;
	length = next_token(&look, token, err);
	if (!length)
		return not_understood("-", "the end of the range is missing", err);
	if (length >= TOKEN_SIZE || read_partial(token, out_end, err))
		return -1;
	*at = look;
	return 0;
}

/* The operator that token begins with; OPS when those signs are none. */
static enum op read_operator(const char *token, size_t *out_length)
{
	size_t length = strspn(token, "<>=^~");
	enum op op = LESS;

	*out_length = length;
	if (!length)
		return EQUAL;
	while (op < OPS &&
	       (strlen(op_texts[op]) != length || strncmp(op_texts[op], token, length) != 0))
		op++;
	return op;
}

/* One comparator, or one hyphen range, whose first token is given. */
static int read_comparator(struct semver_range *range, char token[static TOKEN_SIZE],
                           const char **at, struct err *err)
{
	struct partial partial, end = { .given = 0 };
	bool is_span = false;
	size_t skip;
	enum op op = read_operator(token, &skip);

	if (op == OPS)
		return not_understood(token, "the operators are = > >= < <= ^ ~", err);
	if (skip && !token[skip]) { /* ">= 4.4" */
		size_t length = next_token(at, token, err);

		if (!length)
			return not_understood(op_texts[op], "its version is missing", err);
		if (length >= TOKEN_SIZE)
			return -1;
		skip = 0;
		if (strchr("<>=^~", *token))
			return not_understood(token, "a version is missing before it", err);
	}
	if (read_partial(token + skip, &partial, err) ||
	    (op == EQUAL && read_hyphen(at, &end, &is_span, err)))
		return -1;
	if (is_span ? add_from(range, &partial, err) || add_comparator(range, LESS_EQUAL, &end, err)
	            : add_comparator(range, op, &partial, err))
		return -1;
	range->takes_pre[range->sets] |= *partial.pre || *end.pre;
	return 0;
}

static int read_set(struct semver_range *range, const char **at, struct err *err)
{
	char token[TOKEN_SIZE];
	bool is_empty = true;

	for (;;) {
		size_t length = next_token(at, token, err);

		if (!length)
			break;
		is_empty = false;
		if (length >= TOKEN_SIZE || read_comparator(range, token, at, err))
			return -1;
	}
	if (is_empty)
		return err_set(err, ERR_CONFIG, "%s",
		               range->sets || **at ? "a side of || is empty" : "it is empty");
	return 0;
}

struct semver_range *semver_range_new(const char *text, struct err *err)
{
	struct semver_range *range = calloc(1, sizeof(*range));

	if (!range) {
		(void)err_set_sys(err, ENOMEM, "range of versions");
		return NULL;
	}
	for (;;) {
		if (read_set(range, &text, err))
			break;
		range->sets++;
		if (!*text)
			return range;
		if (text[1] != '|') {
			(void)not_understood(text, "\"or\" is ||", err);
			break;
		}
		text += 2;
	}
	semver_range_free(range);
	return NULL;
}

void semver_range_free(struct semver_range *range)
{
	free(range);
}

/* ---- asking ---- */

static bool holds(const struct comparator *comparator, const char *tag)
{
	int order = store_version_compare(tag, comparator->version);

	switch (comparator->op) {
	case LESS:
		return order < 0;
	case LESS_EQUAL:
		return order <= 0;
	case EQUAL:
		return order == 0;
	case GREATER_EQUAL:
		return order >= 0;
	default:
		return order > 0;
	}
}

bool semver_range_has(const struct semver_range *range, const char *tag)
{
	enum store_tag_kind kind = store_tag_kind(tag);
	bool fits = true;

	if (kind == STORE_TAG_NO_VERSION)
		return false;
	for (size_t i = 0; i < range->count; i++) {
		unsigned set = range->at[i].set;

		fits = fits && holds(&range->at[i], tag) &&
		       (kind == STORE_TAG_VERSION || range->takes_pre[set]);
		if (i + 1 < range->count && range->at[i + 1].set == set)
			continue;
		if (fits)
			return true;
		fits = true;
	}
	return false;
}
