/* The client of the repository; see sync_source.h. */
#include "sync_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "log.h"
#include "registry.h"
#include "secret.h"

/* How the names begin under which the notices of sources are thinned. */
static const char asked_again[] = "asked again: ", passed_over[] = "passed over: ",
		  differing[] = "differing: ";

enum { PASSED_OVER_MS = 35 * 1000 }; /* a source that failed is not asked first for 30 s */

/* Names only; what a key that is not understood holds may be a secret. */
static void tell_unknown_keys(struct sync_source *source)
{
	CLEANUP(buf_release) struct buf names = BUF_INIT(4096);
	struct err err;

	if (secret_unknown_keys(source->config->registry_secret_dir, &names, &err) || !names.size ||
	    !sync_trouble_is_news(source->trouble, "secret's keys", names.data))
		return;
	log_line(LOG_INFO, "Keys of the registry secret that are not understood",
	         (struct log_field[]){ { "keys", names.data }, { NULL, NULL } });
}

/* The flag is warned of at the start; the secret can say so at any time. */
static void tell_unchecked(struct sync_source *source, const struct oci_settings *settings)
{
	static const char subject[] = "secret's trust";

	if (source->config->registry_insecure)
		return;
	if (!settings->insecure)
		(void)sync_trouble_over(source->trouble, subject, NULL);
	else if (sync_trouble_is_news(source->trouble, subject, settings->reference.host))
		log_line(LOG_WARNING,
		         "The registry's certificate is not checked (insecureSkipVerify)", NULL);
}

static void on_notice(void *ctx, enum oci_notice_kind kind, const char *name, const char *subject,
                      const char *detail, int64_t pause_ms)
{
	static const char *const lines[] = {
		[OCI_NOTICE_RETRY] = "Asking the registry again after a pause",
		[OCI_NOTICE_FAILED_OVER] = "Asking the next source",
		[OCI_NOTICE_MIRROR_DIFFERS] = "A source differs from the one that is believed",
	};
	struct sync_source *source = ctx;
	char pause[24], key[RECURRING_TEXT_SIZE];

	(void)snprintf(pause, sizeof(pause), "%" PRId64 "ms", pause_ms);
	/* All that a source fails with is one thing; that it differs is another for each tag. */
	if (kind == OCI_NOTICE_MIRROR_DIFFERS)
		(void)snprintf(key, sizeof(key), "%s%s %s", differing, subject, name);
	else
		(void)snprintf(key, sizeof(key), "%s%s",
		               kind == OCI_NOTICE_RETRY ? asked_again : passed_over, name);
	/* When it begins and then at growing intervals; each time for those who look closely. */
	log_line(sync_trouble_is_news(source->trouble, key, lines[kind]) ? LOG_WARNING : LOG_DEBUG,
	         lines[kind],
	         (struct log_field[]){ { "source", name },
	                               { "subject", subject },
	                               { "reason", detail },
	                               { pause_ms ? "pause" : NULL, pause },
	                               { NULL, NULL } });
}

void sync_source_drop(struct sync_source *source)
{
	oci_client_free(source->client);
	source->client = NULL;
}

/* As an operator knows it; neither a reference nor a folder holds credentials. */
static void tell_name(struct sync_source *source, const struct oci_settings *settings)
{
	if (settings->layout)
		(void)snprintf(source->name, sizeof(source->name), "oci-layout:%s",
		               settings->layout);
	else
		(void)snprintf(source->name, sizeof(source->name), "%s/%s",
		               settings->reference.host, settings->reference.name);
	status_set_source(source->trouble->status, source->name);
}

void sync_source_sweep(struct sync_source *source)
{
	struct recurring *recurring = source->trouble->recurring;
	const int64_t since_ms = source->trouble->began_ms - PASSED_OVER_MS;
	const char *name;
	char key[RECURRING_TEXT_SIZE];

	while (recurring_sweep(recurring, asked_again, since_ms, key) ||
	       recurring_sweep(recurring, differing, since_ms, key))
		;
	while (recurring_sweep(recurring, passed_over, since_ms, key)) {
		name = key + sizeof(passed_over) - 1;
		if (!strncmp(name, source->name, strlen(name)))
			log_line(
				LOG_INFO, "The first source answers again",
				(struct log_field[]){ { "source", source->name }, { NULL, NULL } });
	}
}

int sync_source_renew(struct sync_source *source, struct err *err)
{
	CLEANUP(registry_release) struct registry registry = { .sources = NULL };
	uint64_t seen = registry_fingerprint(source->config);

	if (source->client && seen == source->seen)
		return 0;
	sync_source_drop(source);
	if (seen != source->seen)
		sync_trouble_renew(source->trouble);
	source->seen = seen;
	if (registry_load(source->config, &registry, err))
		return -1;
	if (sync_trouble_over(source->trouble, "secret", NULL))
		log_line(LOG_INFO, "The registry secret is there", NULL);
	for (size_t i = 0; i < registry.count; i++)
		registry.sources[i].counters = status_registry(source->trouble->status);
	tell_name(source, &registry.sources[0]);
	tell_unknown_keys(source);
	tell_unchecked(source, &registry.sources[0]);
	source->client = oci_client_new(registry.sources, registry.count,
	                                &(struct oci_observer){ on_notice, source }, source->cancel,
	                                err);
	if (source->client)
		oci_client_set_retries(source->client, (unsigned)source->config->registry_retries);
	else if (err->kind == ERR_NOT_FOUND) /* which here means: no secret yet */
		err->kind = ERR_CONFIG;
	return source->client ? 0 : -1;
}
