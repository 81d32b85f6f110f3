/* Server contexts; see context.h. */
#include "context.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/fips.h"
#include "base/io.h"
#include "tickets.h"
#include "tls.h"

/*
 * RFC 9325: forward secrecy and AEAD alone. AES-128 goes first: its strength is
 * enough and it is faster. A client that puts ChaCha20 first has no AES in
 * hardware, and gets it (SSL_OP_PRIORITIZE_CHACHA). NULL: OpenSSL's own.
 */
static const struct algorithms {
	const char *ciphers, *suites, *groups, *signatures;
} usual = {
	"ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20",
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
	"X25519:P-256:P-384",
	NULL,
}, approved = { FIPS_TLS_CIPHERS, FIPS_TLS_SUITES, FIPS_TLS_GROUPS, FIPS_TLS_SIGNATURES };

enum { CLIENT_CA_MAX_BYTES = 1024 * 1024 };

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
	if (fips_is_on() && !fips_approves_key(SSL_CTX_get0_privatekey(context))) {
		(void)err_set(err, ERR_CONFIG,
		              "key %s is not approved for FIPS, where it has to be RSA or ECDSA",
		              key_file);
		return err_cause(err, TLS_CAUSE_KEY_KIND);
	}
	return 0;
}

DEFINE_CLEANUP(cleanup_context, SSL_CTX, SSL_CTX_free);

/* ---- client certificates ---- */

static void cleanup_bio(BIO **bio)
{
	BIO_free_all(*bio);
}

/* Trust each certificate of a PEM text, and name it to clients. Returns how many there are, or -1.
 */
static int trust_all(SSL_CTX *context, const struct buf *pem)
{
	CLEANUP(cleanup_bio) BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->size);
	int count = 0;
	X509 *cert;

	while (bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		int taken = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), cert) == 1 &&
		            SSL_CTX_add_client_CA(context, cert) == 1;

		X509_free(cert);
		if (!taken)
			return -1;
		count++;
	}
	/* The end is told as an error, too; anything else is one. */
	if (bio && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return -1;
	ERR_clear_error();
	return count;
}

/* Sessions are bound to what the client had to show for them. */
static int set_session_context(SSL_CTX *context, const struct buf *pem, bool must_authenticate,
                               struct err *err)
{
	struct digest digest = { .bytes = { must_authenticate } };

	if (pem->size && digest_of(DIGEST_SHA256, pem->data, pem->size, &digest, err))
		return -1;
	digest.bytes[0] ^= must_authenticate;
	if (SSL_CTX_set_session_id_context(context, digest.bytes, 32) == 1)
		return 0;
	return err_set(err, ERR_IO, "OpenSSL takes no context for sessions");
}

static int set_client_auth(SSL_CTX *context, const struct context_settings *settings,
                           struct err *err)
{
	CLEANUP(buf_release) struct buf pem = BUF_INIT(CLIENT_CA_MAX_BYTES);
	char reason[REASON_SIZE];
	int count;

	if (!settings->client_ca_file)
		return set_session_context(context, &pem, false, err);
	if (io_read_file(AT_FDCWD, settings->client_ca_file, &pem, err)) {
		err->kind = ERR_CONFIG;
		(void)err_context(err, "client CA");
		return err_cause(err, TLS_CAUSE_CLIENT_CA);
	}
	count = trust_all(context, &pem);
	if (count <= 0) {
		(void)err_set(err, ERR_CONFIG, "client CA %s can't be used: %s",
		              settings->client_ca_file,
		              count < 0 ? openssl_reason(reason) : "it has no certificate");
		return err_cause(err, TLS_CAUSE_CLIENT_CA);
	}
	SSL_CTX_set_verify(
		context,
		SSL_VERIFY_PEER |
			(settings->must_authenticate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
		NULL);
	SSL_CTX_set_cert_verify_callback(context, fips_verify, NULL);
	return set_session_context(context, &pem, settings->must_authenticate, err);
}

/* ---- the whole ---- */

static int set_rules(SSL_CTX *context, struct err *err)
{
	const struct algorithms *allowed = fips_is_on() ? &approved : &usual;
	char reason[REASON_SIZE];

	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(context, allowed->ciphers) != 1 ||
	    SSL_CTX_set_ciphersuites(context, allowed->suites) != 1 ||
	    SSL_CTX_set1_groups_list(context, allowed->groups) != 1 ||
	    (allowed->signatures && SSL_CTX_set1_sigalgs_list(context, allowed->signatures) != 1))
		return err_set(err, ERR_IO, "OpenSSL can't serve TLS: %s", openssl_reason(reason));
	/* A client that ends without close_notify is one that closes: HTTP has its own lengths. */
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	                                     SSL_OP_CIPHER_SERVER_PREFERENCE |
	                                     SSL_OP_PRIORITIZE_CHACHA |
	                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(context, 1); /* a record's head and body in one read */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets only */
	/* It is good for as many connections as the client likes; a second one is a fiftieth of a
	 * handshake. */
	(void)SSL_CTX_set_num_tickets(context, 1);
	SSL_CTX_set_default_passwd_cb(context, no_password);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	return 0;
}

SSL_CTX *context_new(const struct context_settings *settings, struct err *err)
{
	CLEANUP(cleanup_context) SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	char reason[REASON_SIZE];

	ERR_clear_error();
	if (!context) {
		(void)err_set(err, ERR_IO, "OpenSSL can't serve TLS: %s", openssl_reason(reason));
		return NULL;
	}
	if (set_rules(context, err) ||
	    load(context, settings->cert_file, settings->key_file, err) ||
	    set_client_auth(context, settings, err) ||
	    (settings->tickets && tickets_use(settings->tickets, context, err)))
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

int context_times(SSL_CTX *context, int64_t *out_not_before, int64_t *out_not_after)
{
	const X509 *cert = SSL_CTX_get0_certificate(context);

	return seconds_of(X509_get0_notBefore(cert), out_not_before) ||
	                       seconds_of(X509_get0_notAfter(cert), out_not_after)
	               ? -1
	               : 0;
}

int tls_certificate_read(const char *cert_file, const char *key_file, const char *name,
                         struct tls_certificate *out_certificate, struct err *err)
{
	const struct context_settings settings = { .cert_file = cert_file, .key_file = key_file };
	CLEANUP(cleanup_context) SSL_CTX *context = context_new(&settings, err);
	struct tls_certificate certificate;

	if (!context)
		return -1;
	if (context_times(context, &certificate.not_before, &certificate.not_after)) {
		(void)err_set(err, ERR_CONFIG, "certificate %s has no time that can be read",
		              cert_file);
		return err_cause(err, TLS_CAUSE_CERTIFICATE);
	}
	certificate.has_name = X509_check_host(SSL_CTX_get0_certificate(context), name, 0, 0,
	                                       NULL) == 1;
	*out_certificate = certificate;
	return 0;
}

int tls_client_ca_read(const char *file, struct tls_client_ca *out, struct err *err)
{
	const struct context_settings settings = { .client_ca_file = file };
	CLEANUP(cleanup_context) SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	struct tls_client_ca found = { .not_after = INT64_MAX };
	const STACK_OF(X509_OBJECT) * all;
	char reason[REASON_SIZE];

	ERR_clear_error();
	if (!context)
		return err_set(err, ERR_IO, "OpenSSL can't serve TLS: %s", openssl_reason(reason));
	if (set_client_auth(context, &settings, err))
		return -1;
	all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		X509 *cert = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
		int64_t end;

		found.count++;
		if (!X509_check_ca(cert))
			found.not_ca++;
		else if (seconds_of(X509_get0_notAfter(cert), &end) || end < time(NULL))
			found.expired++;
		else if (end < found.not_after)
			found.not_after = end;
	}
	*out = found;
	return 0;
}
