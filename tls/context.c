/* Server contexts; see context.h. */
#include "context.h"

#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/cleanup.h"
#include "tls.h"

/* RFC 9325: forward secrecy and AEAD alone. TLS 1.3's suites are all of that kind. */
static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

const char *openssl_reason(char text[static REASON_SIZE])
{
	unsigned long code = ERR_get_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	if (reason)
		(void)snprintf(text, REASON_SIZE, "%s", reason);
	else if (code)
		ERR_error_string_n(code, text, REASON_SIZE);
	else
		(void)snprintf(text, REASON_SIZE, "unknown reason");
	ERR_clear_error();
	return text;
}

/* An encrypted key can't be used: nobody is there to type its password. */
static int no_password(char *buf, int size, int writing, void *ctx)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)ctx;
	return -1;
}

/* RFC 7301, section 3.2: no protocol in common is a fatal alert. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                           const unsigned char *offered, unsigned length, void *ctx)
{
	static const unsigned char spoken[] = "\x08http/1.1\x08http/1.0";

	(void)ssl;
	(void)ctx;
	if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_length, spoken,
	                          sizeof(spoken) - 1, offered, length) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

static bool is_mismatch(unsigned long code)
{
	return ERR_GET_LIB(code) == ERR_LIB_X509 &&
	       (ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH ||
	        ERR_GET_REASON(code) == X509_R_KEY_TYPE_MISMATCH);
}

static int load(SSL_CTX *context, const char *cert_file, const char *key_file, struct err *err)
{
	char reason[REASON_SIZE];

	if (SSL_CTX_use_certificate_chain_file(context, cert_file) != 1) {
		(void)err_set(err, ERR_CONFIG, "certificate %s can't be used: %s", cert_file,
		              openssl_reason(reason));
		return err_cause(err, TLS_CAUSE_CERTIFICATE);
	}
	if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1 &&
	    !is_mismatch(ERR_peek_error())) {
		(void)err_set(err, ERR_CONFIG, "key %s can't be used (encrypted?): %s", key_file,
		              openssl_reason(reason));
		return err_cause(err, TLS_CAUSE_KEY);
	}
	if (SSL_CTX_check_private_key(context) != 1) {
		(void)err_set(err, ERR_CONFIG, "key %s is not the key of certificate %s", key_file,
		              cert_file);
		ERR_clear_error();
		return err_cause(err, TLS_CAUSE_OTHER_KEY);
	}
	return 0;
}

static void cleanup_context(SSL_CTX **context)
{
	SSL_CTX_free(*context);
}

SSL_CTX *context_new(const char *cert_file, const char *key_file, struct err *err)
{
	CLEANUP(cleanup_context) SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	char reason[REASON_SIZE];

	ERR_clear_error();
	if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(context, ciphers) != 1) {
		(void)err_set(err, ERR_IO, "OpenSSL can't serve TLS: %s", openssl_reason(reason));
		return NULL;
	}
	/* A client that ends without close_notify is one that closes: HTTP has its own lengths. */
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	                                     SSL_OP_CIPHER_SERVER_PREFERENCE |
	                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	                                  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets only */
	SSL_CTX_set_default_passwd_cb(context, no_password);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	if (load(context, cert_file, key_file, err))
		return NULL;
	return STEAL(context);
}

static int seconds_of(const ASN1_TIME *time, int64_t *out_seconds)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1)
		return -1;
	*out_seconds = timegm(&tm);
	return 0;
}

int tls_certificate_read(const char *cert_file, const char *key_file, const char *name,
                         struct tls_certificate *out_certificate, struct err *err)
{
	CLEANUP(cleanup_context) SSL_CTX *context = context_new(cert_file, key_file, err);
	struct tls_certificate certificate;
	X509 *cert;

	if (!context)
		return -1;
	cert = SSL_CTX_get0_certificate(context);
	if (seconds_of(X509_get0_notBefore(cert), &certificate.not_before) ||
	    seconds_of(X509_get0_notAfter(cert), &certificate.not_after)) {
		(void)err_set(err, ERR_CONFIG, "certificate %s has no time that can be read",
		              cert_file);
		return err_cause(err, TLS_CAUSE_CERTIFICATE);
	}
	certificate.has_name = X509_check_host(cert, name, 0, 0, NULL) == 1;
	*out_certificate = certificate;
	return 0;
}
