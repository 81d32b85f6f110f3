/* Paths of archive entries; see path.h. */
#include "path.h"

#include <stdbool.h>
#include <string.h>

/* Those of ASCII, and the second set (U+0080 to U+009F) as UTF-8 has it, which terminals heed too.
 */
static bool has_control(const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];

		if (c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next <= 0x9f))
			return true;
	}
	return false;
}

int path_normalise(const char *path, const struct store_limits *limits,
                   char out_path[static PATH_ROOM], struct err *err)
{
	const char *whole = path;
	char clean[PATH_ROOM];
	size_t length = 0;
	unsigned depth = 0;

	if (has_control(path))
		return err_set(err, ERR_FORMAT,
		               "entry \"%.200s\" has a control character in its name", path);
	if (*path == '/')
		return err_set(err, ERR_FORMAT, "entry \"%.200s\" has an absolute path", path);
	while (*path) {
		size_t size = strcspn(path, "/");

		if (size == 2 && !memcmp(path, "..", 2))
			return err_set(err, ERR_FORMAT,
			               "entry \"%.200s\" leaves the archive by \"..\"", whole);
		if (size > PATH_COMPONENT_MAX)
			return err_set(err, ERR_LIMIT, "entry \"%.40s…\" has a name over %d bytes",
			               whole, PATH_COMPONENT_MAX);
		if (size && !(size == 1 && *path == '.')) {
			if (length + size + 1 > limits->path_bytes || length + size + 2 > PATH_ROOM)
				return err_set(err, ERR_LIMIT,
				               "entry \"%.40s…\" has a path over %zu bytes", whole,
				               limits->path_bytes);
			if (++depth > limits->depth)
				return err_set(err, ERR_LIMIT,
				               "entry \"%.40s…\" lies over %u folders deep", whole,
				               limits->depth);
			if (length)
				clean[length++] = '/';
			memcpy(clean + length, path, size);
			length += size;
			clean[length] = '\0';
		}
		path += size + (path[size] == '/');
	}
	clean[length] = '\0';
	memcpy(out_path, clean, length + 1);
	return 0;
}
