/* Credentials in environment variables; see aws_source.h. */
#include "oci/aws_source.h"

#include <fcntl.h>
#include <string.h>

#include "base/io.h"

const char *aws_variable(const struct aws *aws, const char *name)
{
	const char *value = aws->environment ? aws->environment(name) : NULL;

	return value && *value ? value : NULL;
}

int aws_check_word(const struct buf *text, const char *name, struct err *err)
{
	for (size_t i = 0; i < text->size; i++) {
		if (text->data[i] < ' ' || text->data[i] > '~')
			return err_set(err, ERR_CONFIG, "%s has a character that it may not have",
			               name);
	}
	return 0;
}

int aws_variable_file(const struct aws *aws, const char *name, struct buf *text, struct err *err)
{
	const char *path = aws_variable(aws, name);

	if (io_read_file(AT_FDCWD, path, text, err)) {
		err->kind = ERR_CONFIG;
		return err_context(err, "%s", name);
	}
	while (text->size && strchr("\r\n", text->data[text->size - 1]))
		text->data[--text->size] = '\0';
	if (!text->size)
		return err_set(err, ERR_CONFIG, "%s: %s is empty", name, path);
	return aws_check_word(text, name, err);
}

enum aws_found aws_environment_find(const struct aws *aws, struct aws_keys *out_keys,
                                    struct err *err)
{
	const char *access_key = aws_variable(aws, "AWS_ACCESS_KEY_ID");
	const char *secret_key = aws_variable(aws, "AWS_SECRET_ACCESS_KEY");

	if (!access_key && !secret_key) {
		(void)err_set(err, ERR_NOT_FOUND, "AWS_ACCESS_KEY_ID is not set");
		return AWS_ABSENT;
	}
	return aws_keys_set(access_key, secret_key, aws_variable(aws, "AWS_SESSION_TOKEN"),
	                    "the environment", out_keys, err)
	               ? AWS_FAILED
	               : AWS_FOUND;
}
