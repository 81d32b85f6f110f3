/* The way to a place; see connector.h. */
#include "oci/connector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "oci/transport.h"
#include "oci/trust.h"

struct connector {
	struct place registry;
	struct trust *trust;
	bool insecure;
	bool no_system_trust;
};

DEFINE_CLEANUP(cleanup_connector, struct connector, connector_free);
DEFINE_CLEANUP(cleanup_easy, CURL, curl_easy_cleanup);

/* Without a bundle of CAs libcurl refuses to connect at all, even with CAs of ours. */
static int look_for_system_trust(struct connector *connector, struct err *err)
{
	CLEANUP(cleanup_easy) CURL *easy = curl_easy_init();
	char *bundle = NULL;

	if (!easy)
		return err_set_sys(err, ENOMEM, "HTTP client");
	connector->no_system_trust = !curl_easy_getinfo(easy, CURLINFO_CAINFO, &bundle) && bundle &&
	                             access(bundle, R_OK) != 0;
	return 0;
}

struct connector *connector_new(const struct transport_settings *settings, struct err *err)
{
	CLEANUP(cleanup_connector) struct connector *connector = calloc(1, sizeof(*connector));

	if (!connector) {
		(void)err_set_sys(err, ENOMEM, "HTTP client");
		return NULL;
	}
	connector->insecure = settings->insecure;
	if (url_place(settings->registry_url, &connector->registry, err) ||
	    look_for_system_trust(connector, err))
		return NULL;
	if (settings->ca_pem && !(connector->trust = trust_new(settings->ca_pem, err)))
		return NULL;
	return STEAL(connector);
}

void connector_free(struct connector *connector)
{
	if (!connector)
		return;
	trust_free(connector->trust);
	free(connector);
}

bool connector_has_trust(const struct connector *connector)
{
	return connector->trust;
}

static CURLcode on_tls(CURL *easy, void *context, void *ctx)
{
	const struct connector *connector = ctx;

	(void)easy;
	return trust_add(connector->trust, context) ? CURLE_OUT_OF_MEMORY : CURLE_OK;
}

/* curl_easy_setopt that remembers whether any of a series failed. */
#define SET(option, value) (failed |= curl_easy_setopt(easy, option, value) != CURLE_OK)

int connector_set(struct connector *connector, CURL *easy, const struct place *place)
{
	bool failed = false;

	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* The registry's host with any port: its token server and storage stand there too. */
	if (connector->insecure && !strcmp(place->host, connector->registry.host)) {
		SET(CURLOPT_SSL_VERIFYPEER, 0L);
		SET(CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (connector->trust) {
		SET(CURLOPT_SSL_CTX_FUNCTION, on_tls);
		SET(CURLOPT_SSL_CTX_DATA, connector);
	}
	if (connector->no_system_trust) {
		SET(CURLOPT_CAINFO, NULL);
		SET(CURLOPT_CAPATH, NULL);
	}
	return failed ? -1 : 0;
}
