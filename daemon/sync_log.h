/* The lines that a round of syncing writes; the six of the platform's guide word for word. */
#ifndef SPECMAN_SYNC_LOG_H
#define SPECMAN_SYNC_LOG_H

#include <stdint.h>

#include "config.h"
#include "log.h"
#include "oci/oci.h"
#include "storage/storage.h"

/* What weakens the trust in the registry, as a warning each. */
void sync_log_trust(const struct config *config);

/* "tags[4.5.13 4.5.15]"; a list too long for a line is cut. */
void sync_log_tags(const struct oci_tags *tags);

/* "<verb> <subject>": the variable part stands in the message. fields may be NULL. */
void sync_log_step(const char *verb, const char *subject, const struct log_field *fields);

/* "filename: <title>, isDir: false" */
void sync_log_file(const char *title);

/* That the store's view has this release now, and how long that took. */
void sync_log_published(struct store *store, const struct store_release *release, int64_t took_ms);

#endif
