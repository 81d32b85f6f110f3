/* Handshakes; see peer.h. */
#include "oci/peer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "base/cleanup.h"
#include "base/fips.h"

DEFINE_CLEANUP(cleanup_bio, BIO, BIO_free_all);
DEFINE_CLEANUP(cleanup_names, GENERAL_NAMES, GENERAL_NAMES_free);

static void print_name(const X509_NAME *name, char out[static PEER_TEXT_SIZE])
{
	CLEANUP(cleanup_bio) BIO *bio = BIO_new(BIO_s_mem());
	int size = 0;

	/* XN_FLAG_ONELINE escapes what is no printable ASCII. */
	if (bio && name && X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ) > 0)
		size = BIO_read(bio, out, PEER_TEXT_SIZE - 1);
	out[size > 0 ? size : 0] = '\0';
}

/* Add a name to the list where there is room. A broken one is left out. */
static void add_name(char out[static PEER_TEXT_SIZE], const GENERAL_NAME *name)
{
	char text[INET6_ADDRSTRLEN + 1] = "";
	const ASN1_STRING *value = NULL;
	size_t used = strlen(out);
	const char *start = text;
	int size;

	if (name->type == GEN_DNS) {
		value = name->d.dNSName;
		start = (const char *)ASN1_STRING_get0_data(value);
		size = ASN1_STRING_length(value);
	} else if (name->type == GEN_IPADD) {
		value = name->d.iPAddress;
		/* RFC 5280, section 4.2.1.6; the server may have written any other length. */
		size = ASN1_STRING_length(value);
		if ((size != 4 && size != 16) ||
		    !inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), text,
		               sizeof(text)))
			return;
		size = (int)strlen(text);
	} else {
		return;
	}
	for (int i = 0; i < size; i++) {
		if (start[i] <= ' ' || start[i] > '~')
			return;
	}
	if (size > 0 && used + (size_t)size + 3 <= PEER_TEXT_SIZE)
		(void)snprintf(out + used, PEER_TEXT_SIZE - used, "%s%.*s", used ? ", " : "", size,
		               start);
}

static void read_names(X509 *certificate, char out[static PEER_TEXT_SIZE])
{
	CLEANUP(cleanup_names)
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

	out[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
		add_name(out, sk_GENERAL_NAME_value(names, i));
}

static int on_verify(X509_STORE_CTX *store, void *ctx)
{
	struct peer *peer = ctx;
	X509 *certificate = X509_STORE_CTX_get0_cert(store);
	int good;

	if (certificate) {
		print_name(X509_get_issuer_name(certificate), peer->issuer);
		read_names(certificate, peer->names);
	}
	good = fips_verify(store, NULL);
	peer->verdict = X509_STORE_CTX_get_error(store);
	return good;
}

/* libcurl has only a text of it, and that is lost when the connection ends meanwhile. */
static void on_message(int written, int version, int type, const void *bytes, size_t size, SSL *ssl,
                       void *ctx)
{
	struct peer *peer = ctx;
	const unsigned char *message = bytes;

	(void)version;
	(void)ssl;
	peer->begun = true;
	if (written || !size)
		return;
	if (type == SSL3_RT_ALERT && size == 2 && message[0] == SSL3_AL_FATAL)
		peer->alert = message[1];
	if (type == SSL3_RT_HANDSHAKE && message[0] == SSL3_MT_CERTIFICATE_REQUEST)
		peer->asked = true;
}

void peer_watch(SSL_CTX *context, struct peer *peer)
{
	SSL_CTX_set_cert_verify_callback(context, on_verify, peer);
	SSL_CTX_set_msg_callback(context, on_message);
	SSL_CTX_set_msg_callback_arg(context, peer);
}
