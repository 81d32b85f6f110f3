/* Content-Type by ending; see media_type.h. */
#include "media_type.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

const char *media_type_of(const char *name)
{
	static const struct {
		const char *ending;
		const char *type;
	} types[] = {
		{ "yaml", "application/yaml" }, /* RFC 9512 */
		{ "yml", "application/yaml" },
		{ "json", "application/json" },
		{ "tgz", "application/gzip" }, /* RFC 6713 */
		{ "gz", "application/gzip" },
		{ "tar", "application/x-tar" },
		{ "zip", "application/zip" },
		{ "txt", "text/plain; charset=utf-8" },
		{ "log", "text/plain; charset=utf-8" },
		{ "md", "text/markdown; charset=utf-8" }, /* RFC 7763 */
		{ "html", "text/html; charset=utf-8" },
		{ "htm", "text/html; charset=utf-8" },
		{ "css", "text/css; charset=utf-8" },
		{ "js", "text/javascript; charset=utf-8" }, /* RFC 9239 */
		{ "csv", "text/csv; charset=utf-8" },
		{ "xml", "application/xml" },
		{ "svg", "image/svg+xml" },
		{ "png", "image/png" },
		{ "jpg", "image/jpeg" },
		{ "jpeg", "image/jpeg" },
		{ "gif", "image/gif" },
		{ "ico", "image/vnd.microsoft.icon" },
		{ "pdf", "application/pdf" },
	};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcasecmp(dot + 1, types[i].ending))
			return types[i].type;
	return "application/octet-stream";
}
