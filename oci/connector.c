/* The way to a place; see connector.h. */
#include "oci/connector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fips.h"
#include "oci/client_cert.h"
#include "oci/transport.h"
#include "oci/trust.h"

struct connector {
	struct place registry;
	struct trust *trust;             /* or NULL */
	struct client_cert *client_cert; /* or NULL */
	struct proxies *proxies;
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
	if ((settings->cert_pem || settings->key_pem) &&
	    !(connector->client_cert = client_cert_new(settings->cert_pem, settings->key_pem, err)))
		return NULL;
	connector->proxies = proxies_new(settings->environment, err);
	if (!connector->proxies)
		return NULL;
	return STEAL(connector);
}

void connector_free(struct connector *connector)
{
	if (!connector)
		return;
	trust_free(connector->trust);
	client_cert_free(connector->client_cert);
	proxies_free(connector->proxies);
	free(connector);
}

bool connector_has_trust(const struct connector *connector)
{
	return connector->trust;
}

/* OpenSSL would offer more, of what the provider has but must not be used. */
static int keep_to_approved(SSL_CTX *context)
{
	return SSL_CTX_set_cipher_list(context, FIPS_TLS_CIPHERS) == 1 &&
	                       SSL_CTX_set_ciphersuites(context, FIPS_TLS_SUITES) == 1 &&
	                       SSL_CTX_set1_groups_list(context, FIPS_TLS_GROUPS) == 1 &&
	                       SSL_CTX_set1_sigalgs_list(context, FIPS_TLS_SIGNATURES) == 1
	               ? 0
	               : -1;
}

/* For the handshake with the place and for the one with a proxy. */
static CURLcode on_tls(CURL *easy, void *context, void *ctx)
{
	struct connection *connection = ctx;
	const struct trust *trust = connection->connector->trust;

	(void)easy;
	peer_watch(context, &connection->peer);
	if (fips_is_on() && keep_to_approved(context))
		return CURLE_SSL_CIPHER;
	return trust && trust_add(trust, context) ? CURLE_OUT_OF_MEMORY : CURLE_OK;
}

/* curl_easy_setopt that remembers whether any of a series failed. */
#define SET(option, value) (failed |= curl_easy_setopt(easy, option, value) != CURLE_OK)

static int set_tls(CURL *easy, const struct place *place, struct connection *connection)
{
	const struct connector *connector = connection->connector;
	/* With any port: its token server and storage stand there, too. */
	bool is_registry = !strcmp(place->host, connector->registry.host);
	bool failed = false;

	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (connector->insecure && is_registry) {
		SET(CURLOPT_SSL_VERIFYPEER, 0L);
		SET(CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (connector->client_cert && is_registry)
		failed |= client_cert_set(connector->client_cert, easy) != CURLE_OK;
	SET(CURLOPT_SSL_CTX_FUNCTION, on_tls);
	SET(CURLOPT_SSL_CTX_DATA, connection);
	if (connector->no_system_trust) {
		SET(CURLOPT_CAINFO, NULL);
		SET(CURLOPT_CAPATH, NULL);
		SET(CURLOPT_PROXY_CAINFO, NULL);
		SET(CURLOPT_PROXY_CAPATH, NULL);
	}
	return failed ? -1 : 0;
}

static int set_proxy(CURL *easy, const struct proxy *proxy)
{
	static const long types[] = {
		[PROXY_HTTP] = CURLPROXY_HTTP,
		[PROXY_HTTPS] = CURLPROXY_HTTPS,
		[PROXY_SOCKS5] = CURLPROXY_SOCKS5_HOSTNAME,
	};
	bool failed = false;

	/* Both are set in any case: libcurl would look into the environment. */
	SET(CURLOPT_PROXY, proxy ? proxy->host : "");
	SET(CURLOPT_NOPROXY, "");
	if (!proxy)
		return failed ? -1 : 0;
	SET(CURLOPT_PROXYTYPE, types[proxy->kind]);
	SET(CURLOPT_PROXYPORT, (long)proxy->port);
	SET(CURLOPT_PROXYAUTH, CURLAUTH_BASIC);
	SET(CURLOPT_SOCKS5_AUTH, CURLAUTH_BASIC);
	if (proxy->login)
		SET(CURLOPT_PROXYUSERPWD, proxy->login);
	/* Else CONNECT has the registry's Authorization. */
	SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	return failed ? -1 : 0;
}

int connector_set(const struct connector *connector, CURL *easy, const struct place *place,
                  bool direct, struct connection *connection)
{
	*connection = (struct connection){
		.connector = connector,
		.proxy = direct ? NULL : proxies_find(connector->proxies, place),
	};
	return set_tls(easy, place, connection) || set_proxy(easy, connection->proxy) ? -1 : 0;
}
