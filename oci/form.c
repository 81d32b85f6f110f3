/* Forms; see form.h. */
#include "oci/form.h"

#include <stdbool.h>
#include <string.h>

int form_add(struct buf *form, const char *name, const char *value, struct err *err)
{
	if (buf_addf(form, err, "%s%s=", form->size ? "&" : "", name))
		return -1;
	for (; *value; value++) {
		bool plain = strchr("-._~0123456789abcdefghijklmnopqrstuvwxyz"
		                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
		                    *value);

		if (plain ? buf_add(form, value, 1, err)
		          : buf_addf(form, err, "%%%02X", (unsigned)(unsigned char)*value))
			return -1;
	}
	return 0;
}
