/* Pages of tags; see tags.h. */
#include "oci/tags.h"

#include <string.h>

#include "base/digest.h"
#include "oci/json.h"
#include "oci/limits.h"
#include "oci/oci.h"

bool tag_is_attachment(const char *tag)
{
	static const char prefix[] = "sha256-", longer[] = "sha512-";
	static const char *const endings[] = { "", ".sig", ".att", ".sbom" };
	const size_t start = sizeof(prefix) - 1;
	struct digest digest;
	struct err unused;

	if (strlen(tag) < start + 64 ||
	    (strncmp(tag, prefix, start) != 0 && strncmp(tag, longer, start) != 0) ||
	    digest_parse_hex(tag + start, 64, &digest, &unused))
		return false;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		if (!strcmp(tag + start + 64, endings[i]))
			return true;
	}
	return false;
}

static int add_page(struct nameset *set, const char *body, size_t size, struct err *err)
{
	json_auto_t *root = json_bounded(body, size, err);
	const json_t *tags;
	const json_t *value;
	size_t i;

	if (!root)
		return err_context(err, "list of tags");
	tags = json_object_get(root, "tags");
	if (!json_is_object(root) || (tags && !json_is_null(tags) && !json_is_array(tags)))
		return err_set(err, ERR_FORMAT, "the answer is JSON, but no list of tags");
	json_array_foreach(tags, i, value)
	{
		const char *tag = json_string_value(value);

		if (!tag)
			return err_set(err, ERR_FORMAT, "list of tags: number %zu is no text", i);
		if (!oci_tag_is_valid(tag) || tag_is_attachment(tag))
			continue;
		if (nameset_add(set, tag, LIMIT_TAGS, err))
			return err_context(err, "tags");
	}
	return 0;
}

int tags_add_page(struct nameset *set, const char *body, size_t size, struct err *err)
{
	if (!add_page(set, body, size, err))
		return 0;
	return err->kind == ERR_FORMAT ? err_cause(err, OCI_CAUSE_NOT_A_REGISTRY) : -1;
}
