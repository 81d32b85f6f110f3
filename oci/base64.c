/* Base64; see base64.h. */
#include "oci/base64.h"

#include <stdbool.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Four characters of text as they come; padding ends it. */
struct group {
	unsigned bits;
	unsigned count;   /* characters, padding included */
	unsigned padding; /* of them */
	bool has_ended;
};

static int refuse(struct err *err)
{
	return err_set(err, ERR_FORMAT, "not valid base64");
}

static int take(struct group *group, char c, struct err *err)
{
	const char *place = strchr(alphabet, c);

	if (group->has_ended || (c != '=' && (!place || group->padding)))
		return refuse(err);
	group->bits = group->bits << 6 | (c == '=' ? 0 : (unsigned)(place - alphabet));
	group->padding += c == '=';
	group->count++;
	return group->padding > 2 ? refuse(err) : 0;
}

static int give(struct group *group, struct buf *out, struct err *err)
{
	const char bytes[] = { (char)(group->bits >> 16 & 0xff), (char)(group->bits >> 8 & 0xff),
		               (char)(group->bits & 0xff) };

	if (buf_add(out, bytes, 3 - group->padding, err))
		return -1;
	*group = (struct group){ .has_ended = group->padding > 0 };
	return 0;
}

int base64_decode(const char *text, struct buf *out, struct err *err)
{
	struct group group = { .bits = 0 };

	for (; *text; text++) {
		if (strchr(" \t\r\n", *text))
			continue;
		if (take(&group, *text, err) || (group.count == 4 && give(&group, out, err)))
			return -1;
	}
	return group.count ? refuse(err) : 0;
}

int base64_encode(const void *bytes, size_t size, struct buf *out, struct err *err)
{
	const unsigned char *at = bytes;

	for (; size; at += size < 3 ? size : 3, size -= size < 3 ? size : 3) {
		unsigned bits = (unsigned)at[0] << 16 | (size > 1 ? (unsigned)at[1] << 8 : 0) |
		                (size > 2 ? at[2] : 0U);
		const char text[] = { alphabet[bits >> 18], alphabet[bits >> 12 & 63],
			              size > 1 ? alphabet[bits >> 6 & 63] : '=',
			              size > 2 ? alphabet[bits & 63] : '=' };

		if (buf_add(out, text, sizeof(text), err))
			return -1;
	}
	return 0;
}
