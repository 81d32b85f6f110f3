/* The few XML elements that STS' answers are read for. */
#ifndef SPECMAN_OCI_AWS_XML_H
#define SPECMAN_OCI_AWS_XML_H

#include <stddef.h>

#include "base/err.h"

/*
 * The text of the first element of this name that has nothing but text, with
 * the five predefined entities decoded (XML 1.0, section 4.6): a heap string.
 * NULL with ERR_NOT_FOUND without such an element, ERR_LIMIT past
 * LIMIT_AWS_KEY_BYTES, ERR_FORMAT for markup or another entity in it.
 */
MUST_CHECK char *aws_xml_text(const char *body, size_t size, const char *name, struct err *err);

#endif
