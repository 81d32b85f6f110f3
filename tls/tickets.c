/* Keys of session tickets; see tickets.h. */
#include "tickets.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/cleanup.h"
#include "context.h"

enum { NAME_BYTES = 16, CIPHER_BYTES = 32, MAC_BYTES = 32, KEYS = 2 };

struct key {
	unsigned char name[NAME_BYTES];
	unsigned char cipher[CIPHER_BYTES];
	unsigned char mac[MAC_BYTES];
};

struct tickets {
	pthread_mutex_t mutex;
	EVP_CIPHER *cipher;
	struct key keys[KEYS]; /* [0] makes tickets; the others are read as well */
	unsigned count;
	int64_t made_ms; /* when [0] was made */
};

static int make_key(struct key *key, struct err *err)
{
	char reason[REASON_SIZE];

	if (RAND_bytes(key->name, sizeof(key->name)) == 1 &&
	    RAND_priv_bytes(key->cipher, sizeof(key->cipher)) == 1 &&
	    RAND_priv_bytes(key->mac, sizeof(key->mac)) == 1)
		return 0;
	return err_set(err, ERR_IO, "key for session tickets: OpenSSL: %s", openssl_reason(reason));
}

struct tickets *tickets_new(int64_t now_ms, struct err *err)
{
	struct tickets *tickets = calloc(1, sizeof(*tickets));

	if (!tickets) {
		(void)err_set_sys(err, ENOMEM, "keys for session tickets");
		return NULL;
	}
	(void)pthread_mutex_init(&tickets->mutex, NULL);
	tickets->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	tickets->count = 1;
	tickets->made_ms = now_ms;
	if (!tickets->cipher) {
		char reason[REASON_SIZE];

		(void)err_set(err, ERR_IO, "cipher for session tickets: OpenSSL: %s",
		              openssl_reason(reason));
	} else if (!make_key(&tickets->keys[0], err)) {
		return tickets;
	}
	tickets_free(tickets);
	return NULL;
}

void tickets_free(struct tickets *tickets)
{
	if (!tickets)
		return;
	OPENSSL_cleanse(tickets->keys, sizeof(tickets->keys));
	EVP_CIPHER_free(tickets->cipher);
	(void)pthread_mutex_destroy(&tickets->mutex);
	free(tickets);
}

int tickets_rotate(struct tickets *tickets, int64_t now_ms, struct err *err)
{
	struct key key;

	if (now_ms - tickets->made_ms < TICKET_SECONDS * (int64_t)1000)
		return 0;
	if (make_key(&key, err))
		return -1;
	(void)pthread_mutex_lock(&tickets->mutex);
	/* What slept through two times of life must not be read any more. */
	tickets->count = now_ms - tickets->made_ms < 2 * TICKET_SECONDS * (int64_t)1000 ? 2 : 1;
	OPENSSL_cleanse(&tickets->keys[1], sizeof(tickets->keys[1]));
	if (tickets->count == 2)
		tickets->keys[1] = tickets->keys[0];
	tickets->keys[0] = key;
	tickets->made_ms = now_ms;
	(void)pthread_mutex_unlock(&tickets->mutex);
	OPENSSL_cleanse(&key, sizeof(key));
	return 0;
}

/* The key for a new ticket (name NULL), or that of a ticket; its index, or -1. */
static int pick(struct tickets *tickets, const unsigned char *name, struct key *key)
{
	int found = -1;

	(void)pthread_mutex_lock(&tickets->mutex);
	for (unsigned i = 0; found < 0 && i < tickets->count; i++)
		if (!name || !CRYPTO_memcmp(name, tickets->keys[i].name, NAME_BYTES)) {
			*key = tickets->keys[i];
			found = (int)i;
		}
	(void)pthread_mutex_unlock(&tickets->mutex);
	return found;
}

static bool set_mac(EVP_MAC_CTX *mac, struct key *key)
{
	static char sha256[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, MAC_BYTES),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/*
 * OpenSSL asks for a key; see SSL_CTX_set_tlsext_ticket_key_cb(3). 2 makes it
 * give the client a new ticket: always in TLS 1.3, where a ticket used twice
 * links connections (RFC 8446, appendix C.4).
 */
static int give_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                    EVP_MAC_CTX *mac, int encrypts)
{
	struct tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct key key;
	int index = pick(tickets, encrypts ? NULL : name, &key);
	bool set;

	if (index < 0)
		return 0;
	if (encrypts)
		memcpy(name, key.name, NAME_BYTES);
	set = (!encrypts || RAND_bytes(iv, EVP_CIPHER_get_iv_length(tickets->cipher)) == 1) &&
	      EVP_CipherInit_ex2(cipher, tickets->cipher, key.cipher, iv, encrypts, NULL) == 1 &&
	      set_mac(mac, &key);
	OPENSSL_cleanse(&key, sizeof(key));
	if (!set)
		return -1;
	return !encrypts && (index > 0 || SSL_version(ssl) == TLS1_3_VERSION) ? 2 : 1;
}

int tickets_use(struct tickets *tickets, SSL_CTX *context, struct err *err)
{
	SSL_CTX_set_timeout(context, TICKET_SECONDS);
	if (SSL_CTX_set_app_data(context, tickets) != 1 ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, give_key) != 1)
		return err_set(err, ERR_IO, "OpenSSL takes no keys for session tickets");
	return 0;
}
