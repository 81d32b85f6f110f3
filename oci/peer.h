/* What passes in handshakes with a TLS server, kept for the error that may come of them. */
#ifndef SPECMAN_OCI_PEER_H
#define SPECMAN_OCI_PEER_H

#include <stdbool.h>

#include <openssl/ssl.h>

enum { PEER_TEXT_SIZE = 128 };

/*
 * The texts are the server's, from its certificate, for people: short, on one
 * line, printable; "" when there is none.
 */
struct peer {
	bool begun;                  /* there was a handshake: a connection stood */
	bool asked;                  /* the server, for a client certificate */
	int verdict;                 /* on the certificate: X509_V_… */
	int alert;                   /* the fatal one from the server (RFC 8446, section 6), or 0 */
	char issuer[PEER_TEXT_SIZE]; /* "CN=Corporate Root, O=Example": who vouches for it */
	char names[PEER_TEXT_SIZE];  /* "a.example.com, 10.0.0.1": whom it is for */
};

/*
 * Write down in *peer, which has to outlive the context, what passes in the
 * context's handshakes, the latest one's. Certificates are judged as ever.
 */
void peer_watch(SSL_CTX *context, struct peer *peer);

#endif
