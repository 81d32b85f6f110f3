/* /metrics; see metrics.h. */
#include "metrics.h"

#include <archive.h>
#include <curl/curl.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "accept.h"
#include "log.h"
#include "metrics_parts.h"

static void add_build(struct exposition *e)
{
	static const struct metric metric = { "specman_build", METRIC_INFO, NULL,
		                              "Version of specman and of what it runs with." };
	/* "libarchive 3.6.2" */
	const char *archive = strchr(archive_version_string(), ' ');

	exposition_family(e, &metric);
	exposition_value(e,
	                 (const struct metric_label[]){
				 { "version", SPECMAN_VERSION },
				 { "openssl", OpenSSL_version(OPENSSL_VERSION_STRING) },
				 { "libmicrohttpd", MHD_get_version() },
				 { "libcurl", curl_version_info(CURLVERSION_NOW)->version },
				 { "libarchive", archive ? archive + 1 : "" },
				 { NULL, NULL },
			 },
	                 1);
}

static void add_log(struct exposition *e)
{
	static const struct metric metric = { "specman_log_lines", METRIC_COUNTER, NULL,
		                              "Lines written to the log." };

	exposition_family(e, &metric);
	for (int level = 0; level < LOG_LEVELS; level++)
		exposition_value(e, LABEL("level", log_level_name((enum log_level)level)),
		                 (double)log_lines_written((enum log_level)level));
}

static int write_all(struct exposition *e, const struct metrics *metrics, struct err *err)
{
	add_build(e);
	metrics_add_sync(e, metrics);
	metrics_add_store(e, metrics);
	metrics_add_serving(e, metrics);
	add_log(e);
	metrics_add_process(e);
	return exposition_end(e, err);
}

void metrics_answer(void *ctx, const struct admin_request *request, struct admin_answer *answer)
{
	const char *accept[] = { admin_header(request, "Accept"), NULL };
	enum exposition_format format = accept[0] && accept_openmetrics(accept)
	                                        ? EXPOSITION_OPENMETRICS
	                                        : EXPOSITION_TEXT;
	struct exposition e;
	struct err err;

	exposition_init(&e, format);
	if (write_all(&e, ctx, &err)) {
		answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
		log_line(LOG_ERROR, "Metrics not written",
		         (struct log_field[]){ { "error", err.msg }, { NULL, NULL } });
		exposition_release(&e);
		return;
	}
	answer->type = exposition_type(format);
	buf_release(&answer->body);
	answer->body = e.text;
}
