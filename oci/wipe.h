/* Memory that held a secret is overwritten before it is given back: it may be seen again. */
#ifndef SPECMAN_OCI_WIPE_H
#define SPECMAN_OCI_WIPE_H

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* For CLEANUP: overwrite and free a heap string, and leave NULL behind. */
static inline void wipe_text(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

/* For CLEANUP: the same for a buffer, which is empty then. */
static inline void wipe_buf(struct buf *secret)
{
	if (secret->data)
		explicit_bzero(secret->data, secret->size);
	buf_release(secret);
}

#endif
