/*
 * FIPS mode: OpenSSL's FIPS provider does all cryptography of the process, or
 * the process says why it can't. It is a state of OpenSSL's default library
 * context, which libcurl uses as well: what is fetched anywhere by name has to
 * have the property fips=yes (fips_module(7), property(7)).
 *
 *	fips_require()    first of all, before anything else uses OpenSSL
 *	fips_is_on()      by who chooses algorithms by more than what the provider has
 */
#ifndef SPECMAN_BASE_FIPS_H
#define SPECMAN_BASE_FIPS_H

#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/x509_vfy.h>

#include "base/err.h"

/*
 * What TLS may use beside versions. The providers of OpenSSL 3.0 give X25519,
 * Ed25519 and their like the property fips=yes, although their certificates
 * count them as not approved. Groups are those of NIST SP 800-56A, revision 3;
 * ciphers are of SP 800-52, revision 2, with forward secrecy and AEAD alone.
 */
#define FIPS_TLS_CIPHERS "ECDHE+AESGCM+AES128:ECDHE+AESGCM"
#define FIPS_TLS_SUITES  "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"
#define FIPS_TLS_GROUPS  "P-256:P-384:P-521"
#define FIPS_TLS_SIGNATURES                                                                        \
	"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:"          \
	"rsa_pss_rsae_sha512:rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"            \
	"RSA+SHA256:RSA+SHA384:RSA+SHA512"

enum { FIPS_NAME_SIZE = 64, FIPS_VERSION_SIZE = 32 };

/* Who the provider is, by its own word. */
struct fips_provider {
	char name[FIPS_NAME_SIZE];
	char version[FIPS_VERSION_SIZE];
};

/*
 * Turn FIPS mode on for good: load the provider if the configuration of OpenSSL
 * (OPENSSL_CONF) names it and has not, see that its self-tests have passed, ask
 * for fips=yes, and prove by fetching that what is approved comes from it and
 * what is not comes from nobody. ERR_CONFIG says what is missing; OpenSSL is
 * not to be used then. For one thread, before others are there.
 */
MUST_CHECK int fips_require(struct err *err);

bool fips_is_on(void);

/* Whether a provider named "fips" is active, required or not, and who it is. */
bool fips_find(struct fips_provider *out_provider);

/* Whether a key is for an approved signature: RSA or ECDSA. (Sizes and curves: the provider's.) */
bool fips_approves_key(const EVP_PKEY *key);

/*
 * X509_verify_cert(3), and in FIPS mode no certificate of the chain may have a
 * key that is not approved: X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM. Fits
 * SSL_CTX_set_cert_verify_callback(3).
 */
int fips_verify(X509_STORE_CTX *store, void *ctx);

#endif
