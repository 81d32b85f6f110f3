/* What a TLS server's certificate says, kept for the error that may come of it. */
#ifndef SPECMAN_OCI_PEER_H
#define SPECMAN_OCI_PEER_H

#include <openssl/ssl.h>

enum { PEER_TEXT_SIZE = 128 };

/* Written by the server, for people: short, on one line, printable. "" when there is none. */
struct peer {
	char issuer[PEER_TEXT_SIZE]; /* "CN=Corporate Root, O=Example": who vouches for it */
	char names[PEER_TEXT_SIZE];  /* "a.example.com, 10.0.0.1": whom it is for */
};

/*
 * Write down what the certificates say that the context's handshakes judge, the
 * latest one's, in *peer, which has to outlive the context. What they are worth is
 * judged as ever.
 */
void peer_watch(SSL_CTX *context, struct peer *peer);

#endif
