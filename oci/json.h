/*
 * JSON from outside: bounded in size, depth and number of values before
 * anything is allocated, duplicate keys refused (two parsers that keep
 * different ones would see different documents).
 */
#ifndef SPECMAN_OCI_JSON_H
#define SPECMAN_OCI_JSON_H

#include <stddef.h>

#include <jansson.h>

#include "base/err.h"

/*
 * Parse text. NULL with ERR_FORMAT or ERR_LIMIT; the error gives a place, never
 * the content, which may be a secret. Release with json_decref or json_auto_t.
 */
MUST_CHECK json_t *json_bounded(const char *text, size_t size, struct err *err);

/* The string at key of an object, or NULL: no object, no such key, another type. */
const char *json_text_at(const json_t *object, const char *key);

/* Copy at most room - 1 bytes of text, cut between UTF-8 characters. */
void json_copy_text(char *out, size_t room, const char *text);

#endif
