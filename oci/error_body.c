/* Errors in bodies; see error_body.h. */
#include "oci/error_body.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/aws_xml.h"
#include "oci/json.h"

enum { CODE_SIZE = 48, MESSAGE_SIZE = ERROR_BODY_SIZE - CODE_SIZE - 2 };

/* One short line of plain text, such as net/http's: "Client sent an HTTP request to …". */
static void copy_plain(const char *body, size_t size, char out[static ERROR_BODY_SIZE])
{
	while (size && (body[size - 1] == '\n' || body[size - 1] == '\r'))
		size--;
	for (size_t i = 0; i < size; i++) {
		if (body[i] < ' ' || body[i] > '~')
			size = 0;
	}
	if (!size || size >= MESSAGE_SIZE || strchr("<{[", body[0]))
		return;
	memcpy(out, body, size);
	out[size] = '\0';
}

/* A storage behind a redirect, such as S3: <Error><Code>…</Code><Message>…</Message>…. */
static void copy_xml(const char *body, size_t size, char out[static ERROR_BODY_SIZE])
{
	struct err unused;
	CLEANUP(cleanup_free) char *code = aws_xml_text(body, size, "Code", &unused);
	CLEANUP(cleanup_free)
	char *message = code ? aws_xml_text(body, size, "Message", &unused) : NULL;
	char short_code[CODE_SIZE], short_message[MESSAGE_SIZE];

	if (!code)
		return;
	json_copy_text(short_code, sizeof(short_code), code);
	json_copy_text(short_message, sizeof(short_message), message ? message : "");
	(void)snprintf(out, ERROR_BODY_SIZE, "%s%s%s", short_code, message ? ": " : "",
	               short_message);
}

char *error_body_format(const char *body, size_t size, char out[static ERROR_BODY_SIZE])
{
	struct err unused;
	json_auto_t *root = json_bounded(body, size, &unused);
	const json_t *first = json_array_get(json_object_get(root, "errors"), 0);
	const char *code = json_text_at(first, "code");
	const char *message = json_text_at(first, "message");
	char short_code[CODE_SIZE] = "";
	char short_message[MESSAGE_SIZE] = "";

	if (!first) {
		code = json_text_at(root, "error");
		message = json_text_at(root, "error_description");
		if (!message)
			message = json_text_at(root, "details");
	}
	if (code)
		json_copy_text(short_code, sizeof(short_code), code);
	if (message)
		json_copy_text(short_message, sizeof(short_message), message);
	(void)snprintf(out, ERROR_BODY_SIZE, "%s%s%s", short_code,
	               short_code[0] && short_message[0] ? ": " : "", short_message);
	if (!root) {
		copy_plain(body, size, out);
		copy_xml(body, size, out);
	}
	return out;
}
