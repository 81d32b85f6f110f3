/* Characters of UTF-8 (RFC 3629), and which of them Go prints as they are. */
#ifndef SPECMAN_UNICODE_H
#define SPECMAN_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of the character that text begins with, which is *out; 0 when it is none. */
size_t unicode_decode(const char *text, uint32_t *out);

/*
 * Whether Go's strconv.IsPrint has it: letters, marks, numbers, punctuation,
 * symbols of Unicode 13 (that of Go 1.16 to 1.20), and the space of ASCII.
 */
bool unicode_is_print(uint32_t character);

#endif
