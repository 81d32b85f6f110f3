/* Descriptors; see descriptor.h. */
#include "oci/descriptor.h"

#include "oci/json.h"

int descriptor_read(const json_t *value, struct oci_descriptor *out_descriptor, struct err *err)
{
	const char *digest = json_text_at(value, "digest");
	const json_t *size = json_object_get(value, "size");
	struct oci_descriptor descriptor;

	if (!json_is_object(value) || !digest)
		return err_set(err, ERR_FORMAT, "descriptor without a digest");
	if (digest_parse(digest, &descriptor.digest, err))
		return -1;
	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return err_set(err, ERR_FORMAT, "descriptor without a valid size");
	descriptor.size = json_integer_value(size);
	*out_descriptor = descriptor;
	return 0;
}

const char *descriptor_annotation(const json_t *object, const char *key)
{
	const char *text = json_text_at(json_object_get(object, "annotations"), key);

	return text ? text : "";
}
