/* What a registry or a token server says about an error, in its answer's body. */
#ifndef SPECMAN_OCI_ERROR_BODY_H
#define SPECMAN_OCI_ERROR_BODY_H

#include <stddef.h>

enum { ERROR_BODY_SIZE = 256 };

/*
 * Write "CODE: message" of errors[0] (distribution-spec, "Error Codes") or
 * "error: error_description" (RFC 6749, section 5.2), the code and message of a
 * storage's XML (S3's "Error responses"), or a single short line of plain text. Anything else, HTML
 * for example, and an empty body give "". Returns out.
 */
char *error_body_format(const char *body, size_t size, char out[static ERROR_BODY_SIZE]);

#endif
