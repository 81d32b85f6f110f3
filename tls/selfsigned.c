/* A CA and a server certificate of our own; see selfsigned.h. */
#include "selfsigned.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "context.h"
#include "tls.h"

enum {
	DAY = 24 * 60 * 60,
	CA_DAYS = 3650,
	SERVER_DAYS = 397, /* the most that clients' policies commonly allow */
	PEM_MAX_BYTES = 64 * 1024,
	SERIAL_BYTES = 16,
};

struct pair {
	X509 *cert;
	EVP_PKEY *key;
};

static void pair_release(struct pair *pair)
{
	X509_free(pair->cert);
	EVP_PKEY_free(pair->key);
	*pair = (struct pair){ NULL, NULL };
}

static void cleanup_bio(BIO **bio)
{
	BIO_free_all(*bio);
}

static int openssl_failed(const char *what, struct err *err)
{
	char reason[REASON_SIZE];

	return err_set(err, ERR_IO, "%s: OpenSSL: %s", what, openssl_reason(reason));
}

static int write_pem(int dir, const char *name, const struct pair *pair, bool want_key,
                     struct err *err)
{
	CLEANUP(cleanup_bio) BIO *bio = BIO_new(BIO_s_secmem());
	const char *bytes;
	long size;
	int written;

	if (!bio)
		return openssl_failed(name, err);
	written = want_key ? PEM_write_bio_PrivateKey(bio, pair->key, NULL, NULL, 0, NULL, NULL)
	                   : PEM_write_bio_X509(bio, pair->cert);
	size = BIO_get_mem_data(bio, (char **)(uintptr_t)&bytes);
	if (written != 1 || size <= 0)
		return openssl_failed(name, err);
	return io_replace_file(dir, name, bytes, (size_t)size, 0600, err);
}

/* Read a pair that fits together. ERR_NOT_FOUND when a file is missing, ERR_FORMAT when broken. */
static int read_pair(int dir, const char *cert, const char *key, struct pair *pair, struct err *err)
{
	CLEANUP(buf_release) struct buf cert_text = BUF_INIT(PEM_MAX_BYTES);
	CLEANUP(buf_release) struct buf key_text = BUF_INIT(PEM_MAX_BYTES);
	CLEANUP(cleanup_bio) BIO *cert_bio = NULL;
	CLEANUP(cleanup_bio) BIO *key_bio = NULL;
	char no_password[] = ""; /* else OpenSSL would ask the terminal for one */

	if (io_read_file(dir, cert, &cert_text, err) || io_read_file(dir, key, &key_text, err))
		return -1;
	cert_bio = BIO_new_mem_buf(buf_text(&cert_text), (int)cert_text.size);
	key_bio = BIO_new_mem_buf(buf_text(&key_text), (int)key_text.size);
	if (!cert_bio || !key_bio)
		return openssl_failed(cert, err);
	pair->cert = PEM_read_bio_X509(cert_bio, NULL, NULL, NULL);
	pair->key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, no_password);
	OPENSSL_cleanse(key_text.data, key_text.size);
	if (!pair->cert || !pair->key || X509_check_private_key(pair->cert, pair->key) != 1) {
		(void)openssl_failed(cert, err);
		return err_set(err, ERR_FORMAT, "%s and %s are no certificate and its key", cert,
		               key);
	}
	return 0;
}

static int add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;
	int added;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (!extension)
		return 0;
	added = X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
	return added;
}

static int set_names(X509 *cert, X509 *issuer, const char *name)
{
	unsigned char serial[SERIAL_BYTES];
	X509_NAME *subject = X509_get_subject_name(cert);
	BIGNUM *number;
	int set;

	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return 0;
	serial[0] &= 0x7f; /* RFC 5280, section 4.1.2.2: positive, not zero */
	serial[0] |= 0x40;
	number = BN_bin2bn(serial, sizeof(serial), NULL);
	set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) &&
	      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name,
	                                 -1, -1, 0) &&
	      X509_set_issuer_name(cert, X509_get_subject_name(issuer));
	BN_free(number);
	return set;
}

/* A certificate for pair->key, signed by issuer (NULL: by itself, as a CA). */
static int issue(struct pair *pair, const struct pair *issuer, const char *name, const char *names,
                 long days, struct err *err)
{
	X509 *cert = pair->cert = X509_new();
	bool is_ca = !issuer;

	if (is_ca)
		issuer = pair;
	if (!cert || !X509_set_version(cert, X509_VERSION_3) ||
	    !X509_gmtime_adj(X509_getm_notBefore(cert), -DAY) || /* clocks differ */
	    !X509_gmtime_adj(X509_getm_notAfter(cert), days * DAY) ||
	    !X509_set_pubkey(cert, pair->key) || !set_names(cert, issuer->cert, name) ||
	    !add_extension(cert, issuer->cert, NID_subject_key_identifier, "hash") ||
	    !add_extension(cert, issuer->cert, NID_authority_key_identifier, "keyid") ||
	    !add_extension(cert, issuer->cert, NID_basic_constraints,
	                   is_ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") ||
	    !add_extension(cert, issuer->cert, NID_key_usage,
	                   is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") ||
	    (!is_ca && (!add_extension(cert, issuer->cert, NID_ext_key_usage, "serverAuth") ||
	                !add_extension(cert, issuer->cert, NID_subject_alt_name, names))) ||
	    !X509_sign(cert, issuer->key, EVP_sha256()))
		return openssl_failed(name, err);
	return 0;
}

/* A new certificate, for the key that pair has or else for a new one. */
static int make_pair(int dir, const char *cert_file, const char *key_file, struct pair *pair,
                     const struct pair *issuer, const char *name, const char *names, long days,
                     struct err *err)
{
	bool has_key = pair->key;

	if (!has_key && !(pair->key = EVP_EC_gen("P-256")))
		return openssl_failed(name, err);
	if (issue(pair, issuer, name, names, days, err))
		return -1;
	/* The key first: a certificate without its key is seen as none. */
	if (!has_key && write_pem(dir, key_file, pair, true, err))
		return -1;
	return write_pem(dir, cert_file, pair, false, err);
}

/* A third of the time that it is good for. */
static const time_t renewal_seconds = SERVER_DAYS / 3 * (time_t)DAY;

bool selfsigned_ends_soon(int64_t not_after, int64_t now)
{
	return not_after < now + renewal_seconds;
}

/* Whether the certificate's time ends soon, or another CA issued it. */
static bool is_due(const struct pair *server, const struct pair *ca)
{
	time_t limit = time(NULL) + renewal_seconds;

	return X509_cmp_time(X509_get0_notAfter(server->cert), &limit) < 0 ||
	       X509_verify(server->cert, ca->key) != 1;
}

static int server_names(struct buf *names, struct err *err)
{
	static const char *const bases[] = { "specman-service", "specman-0.specman" };
	static const char *const tails[] = { "", ".hubble-system", ".hubble-system.svc",
		                             ".hubble-system.svc.cluster.local" };
	char host[256] = "";

	if (buf_addf(names, err, "DNS:localhost,IP:127.0.0.1,IP:::1"))
		return -1;
	for (size_t i = 0; i < 2; i++)
		for (size_t j = 0; j < 4; j++)
			if (buf_addf(names, err, ",DNS:%s%s", bases[i], tails[j]))
				return -1;
	if (gethostname(host, sizeof(host) - 1) || !*host ||
	    strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") !=
	            strlen(host))
		return 0;
	return buf_addf(names, err, ",DNS:%s", host);
}

static int ensure(int dir, struct err *err)
{
	CLEANUP(pair_release) struct pair ca = { NULL, NULL };
	CLEANUP(pair_release) struct pair server = { NULL, NULL };
	CLEANUP(buf_release) struct buf names = BUF_INIT(4096);
	struct err reason;

	if (read_pair(dir, "ca.crt", "ca.key", &ca, &reason)) {
		bool is_new = reason.kind == ERR_NOT_FOUND && faccessat(dir, "ca.crt", F_OK, 0);

		pair_release(&ca);
		if (!is_new) {
			*err = reason;
			return -1;
		}
		if (make_pair(dir, "ca.crt", "ca.key", &ca, NULL, "specman CA", NULL, CA_DAYS, err))
			return -1;
	}
	if (read_pair(dir, "tls.crt", "tls.key", &server, &reason))
		pair_release(&server);
	else if (!is_due(&server, &ca))
		return 0;
	/* The key stays: with one more file to write, a disk that takes only the first would leave
	 * the old certificate without its key. */
	X509_free(server.cert);
	server.cert = NULL;
	if (server_names(&names, err))
		return -1;
	return make_pair(dir, "tls.crt", "tls.key", &server, &ca, "specman-service", names.data,
	                 SERVER_DAYS, err);
}

/*
 * Wait for another process that makes or renews them. On a disk that takes no writes
 * there is nobody to wait for, and what it has is used; some file systems have no locks.
 */
static int take_lock(int dir)
{
	int lock = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (lock < 0 && errno == EROFS)
		lock = openat(dir, "lock", O_RDONLY | O_CLOEXEC);
	if (lock >= 0 && flock(lock, LOCK_EX) && errno != ENOLCK && errno != EOPNOTSUPP &&
	    errno != ENOSYS) {
		int reason = errno;

		(void)close(lock);
		errno = reason;
		return -1;
	}
	return lock;
}

int selfsigned_ensure(const char *state_dir, struct err *err)
{
	CLEANUP(cleanup_fd) int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(cleanup_fd) int lock = -1;

	if (dir < 0)
		return err_set_sys(err, errno, "open %s", state_dir);
	lock = take_lock(dir);
	if (lock < 0)
		return err_set_sys(err, errno, "lock %s", state_dir);
	if (ensure(dir, err))
		return err_context(err, "self-made certificate in %s", state_dir);
	return 0;
}

char *tls_selfsigned_ca(const char *state_dir, struct err *err)
{
	CLEANUP(cleanup_fd) int dir = -1;
	CLEANUP(buf_release) struct buf pem = BUF_INIT(PEM_MAX_BYTES);

	if (selfsigned_ensure(state_dir, err))
		return NULL;
	dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		(void)err_set_sys(err, errno, "open %s", state_dir);
		return NULL;
	}
	if (io_read_file(dir, "ca.crt", &pem, err))
		return NULL;
	return buf_steal(&pem);
}
