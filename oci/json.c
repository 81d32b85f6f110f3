/* JSON from outside; see json.h. */
#include "oci/json.h"

#include <stdbool.h>
#include <string.h>

#include "oci/limits.h"

/*
 * jansson recurses once per level and allocates per value: both are counted
 * here first. The text may still be no JSON at all; that is found by jansson.
 */
static int check_shape(const char *text, size_t size, struct err *err)
{
	bool quoted = false;
	size_t values = 0;
	int depth = 0;

	for (size_t i = 0; i < size; i++) {
		char c = text[i];

		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
			continue;
		}
		if (c == '"')
			quoted = true;
		else if (c == '{' || c == '[')
			depth++;
		else if (c == '}' || c == ']')
			depth--;
		if (c == '{' || c == '[' || c == ',')
			values++;
		if (depth > LIMIT_JSON_DEPTH)
			return err_set(err, ERR_LIMIT, "JSON is deeper than %d levels",
			               LIMIT_JSON_DEPTH);
		if (values > LIMIT_JSON_VALUES)
			return err_set(err, ERR_LIMIT, "JSON has more than %d values",
			               LIMIT_JSON_VALUES);
	}
	return 0;
}

json_t *json_bounded(const char *text, size_t size, struct err *err)
{
	json_error_t why;
	json_t *root;

	if (check_shape(text, size, err))
		return NULL;
	root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
	if (root)
		return root;
	if (json_error_code(&why) == json_error_duplicate_key)
		(void)err_set(err, ERR_FORMAT, "JSON has a key twice (line %d, column %d)",
		              why.line, why.column);
	else
		(void)err_set(err, ERR_FORMAT, "not valid JSON (line %d, column %d of %zu bytes)",
		              why.line, why.column, size);
	return NULL;
}

const char *json_text_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

void json_copy_text(char *out, size_t room, const char *text)
{
	size_t size = strlen(text);

	if (size >= room) {
		size = room - 1;
		while (size && ((unsigned char)text[size] & 0xc0) == 0x80)
			size--;
	}
	memcpy(out, text, size);
	out[size] = '\0';
}
