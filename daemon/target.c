/* Request targets; see target.h. */
#include "target.h"

#include <string.h>

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

static int decode(const char *raw, char decoded[static TARGET_MAX_BYTES], struct err *err)
{
	size_t length = 0;

	for (; *raw; raw++) {
		char c = *raw;

		if (c == '%') {
			int high = hex_value(raw[1]);
			int low = high < 0 ? -1 : hex_value(raw[2]);

			if (low < 0)
				return err_set(err, ERR_FORMAT, "bad escape in the path");
			c = (char)(high << 4 | low);
			if (!c)
				return err_set(err, ERR_FORMAT, "NUL in the path");
			raw += 2;
		}
		if (length + 1 >= TARGET_MAX_BYTES)
			return err_set(err, ERR_LIMIT, "path too long");
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

/* absolute-form (RFC 9112, section 3.2.2): only its path matters here. */
static const char *skip_authority(const char *raw)
{
	const char *path;

	if (!strncmp(raw, "http://", 7))
		path = strchr(raw + 7, '/');
	else if (!strncmp(raw, "https://", 8))
		path = strchr(raw + 8, '/');
	else
		return raw;
	return path ? path : "/";
}

int target_parse(const char *raw, struct target *out_target, struct err *err)
{
	char decoded[TARGET_MAX_BYTES] = "";
	const char *at = decoded;

	raw = skip_authority(raw);
	if (*raw != '/')
		return err_set(err, ERR_FORMAT, "the path does not begin with a slash");
	if (decode(raw, decoded, err))
		return -1;
	out_target->length = 0;
	out_target->has_slash = true;
	while (*at) {
		size_t size = strcspn(at, "/");
		bool is_dot = size == 1 && at[0] == '.';
		bool is_up = size == 2 && at[0] == '.' && at[1] == '.';

		if (is_up && !out_target->length)
			return err_set(err, ERR_FORMAT, "the path leaves the root");
		if (is_up) {
			go_up(out_target);
		} else if (size && !is_dot) {
			if (out_target->length)
				out_target->path[out_target->length++] = '/';
			memcpy(out_target->path + out_target->length, at, size);
			out_target->length += size;
		}
		out_target->has_slash = at[size] == '/' || is_dot || is_up;
		at += size + (at[size] == '/');
	}
	out_target->path[out_target->length] = '\0';
	return 0;
}

int target_encode(struct buf *text, const char *path, struct err *err)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~/";

	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (strchr(plain, c) ? buf_add(text, path, 1, err)
		                     : buf_addf(text, err, "%%%02X", c))
			return -1;
	}
	return 0;
}
