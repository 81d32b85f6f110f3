/* Request targets; see target.h. */
#include "target.h"

#include <string.h>
#include <strings.h>

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The path alone, its escapes decoded once. */
static int decode(const char *raw, size_t size, char decoded[static TARGET_MAX_BYTES],
                  struct err *err)
{
	size_t length = 0;

	for (size_t i = 0; i < size; i++) {
		char c = raw[i];

		if (c == '%') {
			int high = size - i > 2 ? hex_value(raw[i + 1]) : -1;
			int low = high < 0 ? -1 : hex_value(raw[i + 2]);

			if (low < 0)
				return err_set(err, ERR_FORMAT, "bad escape in the path");
			c = (char)(high << 4 | low);
			if (!c)
				return err_set(err, ERR_FORMAT, "NUL in the path");
			i += 2;
		}
		decoded[length++] = c;
	}
	decoded[length] = '\0';
	return 0;
}

/* Cut the last component off. */
static void go_up(struct target *target)
{
	while (target->length && target->path[--target->length] != '/')
		;
}

/* Scheme and authority of the absolute-form (RFC 9112, section 3.2.2): only what follows matters.
 */
static const char *skip_authority(const char *raw)
{
	const char *authority = raw;
	size_t length;

	if (!strncasecmp(raw, "http://", 7))
		authority += 7;
	else if (!strncasecmp(raw, "https://", 8))
		authority += 8;
	length = authority == raw ? 0 : strcspn(authority, "/?#");
	return length ? authority + length : raw;
}

static int check_characters(const char *raw, struct err *err)
{
	if (strlen(raw) >= TARGET_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "path too long");
	for (; *raw; raw++)
		if ((unsigned char)*raw <= ' ' || *raw == 0x7f)
			return err_set(err, ERR_FORMAT, "a blank or control character in the path");
	return 0;
}

static void take_query(const char *from, struct target *target)
{
	target->query = *from == '?' ? from + 1 : NULL;
	target->query_length = target->query ? strcspn(target->query, "#") : 0;
}

/* Merge slashes, resolve dots, in place: what is written is never ahead of what is read. */
static int resolve(struct target *target, struct err *err)
{
	const char *at = target->path;

	target->length = 0;
	target->has_slash = true;
	while (*at) {
		size_t size = strcspn(at, "/");
		bool is_dot = size == 1 && at[0] == '.';
		bool is_up = size == 2 && at[0] == '.' && at[1] == '.';

		if (is_up && !target->length)
			return err_set(err, ERR_FORMAT, "the path leaves the root");
		if (is_up) {
			go_up(target);
		} else if (size && !is_dot) {
			if (target->length)
				target->path[target->length++] = '/';
			memmove(target->path + target->length, at, size);
			target->length += size;
		}
		target->has_slash = at[size] == '/' || is_dot || is_up;
		at += size + (at[size] == '/');
	}
	target->path[target->length] = '\0';
	return 0;
}

int target_parse(const char *raw, struct target *out_target, struct err *err)
{
	const char *path;
	size_t size;

	if (check_characters(raw, err))
		return -1;
	path = skip_authority(raw);
	size = strcspn(path, "?#");
	take_query(path + size, out_target);
	if (path == raw && *raw != '/')
		return err_set(err, ERR_FORMAT, "the path does not begin with a slash");
	if (decode(path, size, out_target->path, err))
		return -1;
	return resolve(out_target, err);
}

static int encode(struct buf *text, const char *from, size_t length, const char *plain,
                  struct err *err)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)from[i];

		if (c && strchr(plain, c) ? buf_add(text, from + i, 1, err)
		                          : buf_addf(text, err, "%%%02X", c))
			return -1;
	}
	return 0;
}

#define UNRESERVED                                                                                 \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"                                     \
	"0123456789-._~"

int target_encode(struct buf *text, const char *path, struct err *err)
{
	return encode(text, path, strlen(path), UNRESERVED "/", err);
}

int target_encode_query(struct buf *text, const char *query, size_t length, struct err *err)
{
	return encode(text, query, length, UNRESERVED "/?:@!$&'()*+,;=%[]{}|^`\\", err);
}
