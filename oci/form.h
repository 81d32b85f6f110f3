/* Bodies of application/x-www-form-urlencoded (WHATWG URL, section 5.2). */
#ifndef SPECMAN_OCI_FORM_H
#define SPECMAN_OCI_FORM_H

#include "base/buf.h"
#include "base/err.h"

/* Append "name=value" behind an "&", when there is something already. Errors: buf_add's. */
MUST_CHECK int form_add(struct buf *form, const char *name, const char *value, struct err *err);

#endif
