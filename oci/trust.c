/* More CAs; see trust.h. */
#include "oci/trust.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/cleanup.h"

struct trust {
	STACK_OF(X509) * certificates;
};

DEFINE_CLEANUP(cleanup_bio, BIO, BIO_free_all);
DEFINE_CLEANUP(cleanup_trust, struct trust, trust_free);

void trust_free(struct trust *trust)
{
	if (!trust)
		return;
	sk_X509_pop_free(trust->certificates, X509_free);
	free(trust);
}

static int read_all(BIO *bio, STACK_OF(X509) * certificates, struct err *err)
{
	unsigned long why;
	X509 *certificate;

	while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		if (!sk_X509_push(certificates, certificate)) {
			X509_free(certificate);
			return err_set_sys(err, ENOMEM, "CA certificates");
		}
	}
	why = ERR_peek_last_error();
	ERR_clear_error();
	/* The end of the text looks like this to OpenSSL. */
	if (ERR_GET_LIB(why) != ERR_LIB_PEM || ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
		return err_set(err, ERR_CONFIG, "CA certificate %d is broken: %s",
		               sk_X509_num(certificates) + 1, ERR_reason_error_string(why));
	if (!sk_X509_num(certificates))
		return err_set(err, ERR_CONFIG, "the CA file has no PEM certificate");
	return 0;
}

struct trust *trust_new(const char *pem, struct err *err)
{
	CLEANUP(cleanup_trust) struct trust *trust = calloc(1, sizeof(*trust));
	CLEANUP(cleanup_bio) BIO *bio = BIO_new_mem_buf(pem, -1);

	if (trust)
		trust->certificates = sk_X509_new_null();
	if (!trust || !trust->certificates || !bio) {
		(void)err_set_sys(err, ENOMEM, "CA certificates");
		return NULL;
	}
	ERR_clear_error();
	if (read_all(bio, trust->certificates, err))
		return NULL;
	return STEAL(trust);
}

int trust_add(const struct trust *trust, SSL_CTX *context)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);

	/* One that is there already is no error to OpenSSL. */
	for (int i = 0; i < sk_X509_num(trust->certificates); i++) {
		if (!X509_STORE_add_cert(store, sk_X509_value(trust->certificates, i)))
			return -1;
	}
	return 0;
}
