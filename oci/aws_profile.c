/*
 * The shared credentials file (AWS SDKs reference guide, "Shared config and
 * credentials files"); see aws_source.h.
 *
 * Lines are "[profile]", "name = value", comments that begin with # or ;, or
 * empty. What else stands there, an indented line of a nested value for
 * example, is no business of ours. Of a name given twice the last value counts.
 */
#include "oci/aws_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/limits.h"
#include "oci/wipe.h"

static const char source[] = "the shared credentials file";
static const char space[] = " \t\r";

enum value { VALUE_ACCESS_KEY, VALUE_SECRET_KEY, VALUE_SESSION_TOKEN, VALUE_COUNT };

static const char *const names[VALUE_COUNT] = {
	[VALUE_ACCESS_KEY] = "aws_access_key_id",
	[VALUE_SECRET_KEY] = "aws_secret_access_key",
	[VALUE_SESSION_TOKEN] = "aws_session_token",
};

/* Cut white space off both ends, in place. */
static char *trim(char *text)
{
	size_t size;

	text += strspn(text, space);
	size = strlen(text);
	while (size && strchr(space, text[size - 1]))
		text[--size] = '\0';
	return text;
}

/* A line "[profile]": whether it is the one. */
static bool is_profile(char *line, const char *profile)
{
	char *end = strchr(line, ']');

	if (!end)
		return false;
	*end = '\0';
	return !strcmp(trim(line + 1), profile);
}

static void read_value(char *line, const char *values[static VALUE_COUNT])
{
	char *value = strchr(line, '=');
	const char *name;

	if (!value)
		return;
	*value++ = '\0';
	name = trim(line);
	for (size_t i = 0; i < VALUE_COUNT; i++) {
		if (!strcasecmp(name, names[i]))
			values[i] = trim(value);
	}
}

/* text is cut to pieces. Whether the profile is there. */
static bool read_lines(char *text, const char *profile, const char *values[static VALUE_COUNT])
{
	bool inside = false, found = false;
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (*line == '[') {
			inside = is_profile(line, profile);
			found = found || inside;
		} else if (inside && !strchr("#; \t", *line)) {
			read_value(line, values);
		}
	}
	return found;
}

int aws_profile_read(const char *text, size_t size, const char *profile, struct aws_keys *out_keys,
                     struct err *err)
{
	const char *values[VALUE_COUNT] = { NULL };
	char *copy;
	int failed;

	if (memchr(text, '\0', size))
		return err_set(err, ERR_FORMAT, "%s has a NUL", source);
	copy = strndup(text, size);
	if (!copy)
		return err_set_sys(err, ENOMEM, "AWS credentials");
	if (!read_lines(copy, profile, values))
		failed = err_set(err, ERR_NOT_FOUND, "it has no profile \"%.60s\"", profile);
	else if (!values[VALUE_ACCESS_KEY])
		failed = err_set(err, ERR_NOT_FOUND, "profile \"%.60s\" has no aws_access_key_id",
		                 profile);
	else
		failed = aws_keys_set(values[VALUE_ACCESS_KEY], values[VALUE_SECRET_KEY],
		                      values[VALUE_SESSION_TOKEN], source, out_keys, err);
	explicit_bzero(copy, size);
	free(copy);
	return failed;
}

/* The file's name: a heap string, or NULL with err filled. */
static char *file_name(const struct aws *aws, struct err *err)
{
	const char *given = aws_variable(aws, "AWS_SHARED_CREDENTIALS_FILE");
	const char *home = aws_variable(aws, "HOME");
	char *path = NULL;

	if (!given && !home) {
		(void)err_set(err, ERR_NOT_FOUND, "AWS_SHARED_CREDENTIALS_FILE is not set");
		return NULL;
	}
	if (asprintf(&path, "%s%s", given ? given : home, given ? "" : "/.aws/credentials") < 0) {
		(void)err_set_sys(err, ENOMEM, "AWS credentials");
		return NULL;
	}
	return path;
}

enum aws_found aws_profile_find(const struct aws *aws, struct aws_keys *out_keys, struct err *err)
{
	CLEANUP(wipe_buf) struct buf text = BUF_INIT(LIMIT_AWS_PROFILES_FILE);
	CLEANUP(cleanup_free) char *path = file_name(aws, err);
	const char *profile = aws_variable(aws, "AWS_PROFILE");

	if (path && !io_read_file(AT_FDCWD, path, &text, err) &&
	    !aws_profile_read(buf_text(&text), text.size, profile ? profile : "default", out_keys,
	                      err))
		return AWS_FOUND;
	if (err->kind == ERR_NOT_FOUND)
		return AWS_ABSENT;
	(void)err_context(err, "%s", source);
	return AWS_FAILED;
}
