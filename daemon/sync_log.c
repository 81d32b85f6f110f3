/* What a round of syncing writes; see sync_log.h. */
#include "sync_log.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/cleanup.h"

void sync_log_trust(const struct config *config)
{
	char files[24];

	(void)snprintf(files, sizeof(files), "%zu", config->verify_key.count);
	if (config->verify_key.count)
		log_line(LOG_INFO, "Only signed releases are served (--verify-key)",
		         (struct log_field[]){ { "files", files }, { NULL, NULL } });
	if (config->registry_insecure)
		log_line(LOG_WARNING,
		         "The registry's certificate is not checked (--registry-insecure)", NULL);
	if (config->plain_http)
		log_line(LOG_WARNING, "The registry is asked without TLS (--plain-http)", NULL);
}

void sync_log_published(struct store *store, const struct store_release *release, int64_t took_ms)
{
	char digest[DIGEST_TEXT_SIZE], files[24], bytes[24], releases[24], duration[32];
	struct store_view *view = store_view_get(store);

	(void)snprintf(files, sizeof(files), "%" PRIu64, release->files);
	(void)snprintf(bytes, sizeof(bytes), "%" PRIu64, release->bytes);
	(void)snprintf(releases, sizeof(releases), "%zu", store_view_release_count(view));
	(void)snprintf(duration, sizeof(duration), "%" PRId64 ".%03" PRId64 "s", took_ms / 1000,
	               took_ms % 1000);
	log_line(LOG_INFO, "Published",
	         (struct log_field[]){ { "tag", release->tag },
	                               { "manifest", digest_format(&release->manifest, digest) },
	                               { "files", files },
	                               { "bytes", bytes },
	                               { "releases", releases },
	                               { "duration", duration },
	                               { "view", store_view_id(view) },
	                               { NULL, NULL } });
	store_view_put(view);
}

void sync_log_tags(const struct oci_tags *tags)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(32 * 1024);
	struct err full;
	int failed = buf_addf(&text, &full, "tags[");

	for (size_t i = 0; !failed && i < tags->count; i++)
		failed = buf_addf(&text, &full, "%s%s", i ? " " : "", tags->names[i]);
	/* A list too long for a line is cut. */
	log_line(LOG_INFO,
	         failed || buf_add(&text, "]", 1, &full) ? "tags[… too many to show]" : text.data,
	         NULL);
}

void sync_log_file(const char *title)
{
	char msg[OCI_TITLE_SIZE + 40];

	(void)snprintf(msg, sizeof(msg), "filename: %s, isDir: false",
	               *title ? title : "manifests.tgz");
	log_line(LOG_INFO, msg, NULL);
}

void sync_log_step(const char *verb, const char *subject, const struct log_field *fields)
{
	char msg[512];

	(void)snprintf(msg, sizeof(msg), "%s %s", verb, subject);
	log_line(LOG_INFO, msg, fields);
}
