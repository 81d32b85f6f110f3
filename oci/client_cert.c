/* Client certificates; see client_cert.h. */
#include "oci/client_cert.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/cleanup.h"

struct client_cert {
	char *cert_pem;
	char *key_pem;
};

DEFINE_CLEANUP(cleanup_bio, BIO, BIO_free_all);
DEFINE_CLEANUP(cleanup_certificate, X509, X509_free);
DEFINE_CLEANUP(cleanup_key, EVP_PKEY, EVP_PKEY_free);
DEFINE_CLEANUP(cleanup_client_cert, struct client_cert, client_cert_free);

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void client_cert_free(struct client_cert *cert)
{
	if (!cert)
		return;
	wipe(cert->cert_pem);
	wipe(cert->key_pem);
	free(cert);
}

/* No passphrase, but the knowledge that one is asked for. */
static int refuse_passphrase(char *buffer, int size, int writing, void *asked)
{
	(void)buffer;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static int check(const struct client_cert *pair, struct err *err)
{
	CLEANUP(cleanup_bio) BIO *cert_bio = BIO_new_mem_buf(pair->cert_pem, -1);
	CLEANUP(cleanup_bio) BIO *key_bio = BIO_new_mem_buf(pair->key_pem, -1);
	CLEANUP(cleanup_certificate) X509 *cert = NULL;
	CLEANUP(cleanup_key) EVP_PKEY *key = NULL;
	bool encrypted = false;
	bool fits;

	if (!cert_bio || !key_bio)
		return err_set_sys(err, ENOMEM, "client certificate");
	cert = PEM_read_bio_X509(cert_bio, NULL, NULL, NULL);
	key = PEM_read_bio_PrivateKey(key_bio, NULL, refuse_passphrase, &encrypted);
	fits = cert && key && X509_check_private_key(cert, key) == 1;
	ERR_clear_error();
	if (!cert)
		return err_set(err, ERR_CONFIG, "the client certificate is no PEM certificate");
	if (encrypted)
		return err_set(err, ERR_CONFIG,
		               "the client certificate's key is encrypted: give it without a "
		               "passphrase");
	if (!key)
		return err_set(err, ERR_CONFIG, "the client certificate's key is no PEM key");
	if (!fits)
		return err_set(err, ERR_CONFIG,
		               "the client certificate and its key don't belong together");
	return 0;
}

struct client_cert *client_cert_new(const char *cert_pem, const char *key_pem, struct err *err)
{
	CLEANUP(cleanup_client_cert) struct client_cert *cert = NULL;

	if (!cert_pem || !key_pem) {
		(void)err_set(err, ERR_CONFIG, "a client certificate %s",
		              cert_pem ? "is given without its key"
		                       : "is missing: its key alone is given");
		return NULL;
	}
	cert = calloc(1, sizeof(*cert));
	if (cert) {
		cert->cert_pem = strdup(cert_pem);
		cert->key_pem = strdup(key_pem);
	}
	if (!cert || !cert->cert_pem || !cert->key_pem) {
		(void)err_set_sys(err, ENOMEM, "client certificate");
		return NULL;
	}
	return check(cert, err) ? NULL : STEAL(cert);
}

CURLcode client_cert_set(const struct client_cert *cert, CURL *easy)
{
	struct curl_blob blob = { .flags = CURL_BLOB_NOCOPY };
	CURLcode failed;

	blob.data = cert->cert_pem;
	blob.len = strlen(cert->cert_pem);
	failed = curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &blob);
	blob.data = cert->key_pem;
	blob.len = strlen(cert->key_pem);
	return failed ? failed : curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &blob);
}
