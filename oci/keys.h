/* Public keys and what they verify; see oci.h for how they are loaded. */
#ifndef SPECMAN_OCI_KEYS_H
#define SPECMAN_OCI_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "oci/oci.h"

/*
 * Whether one of the keys has made this signature over a message. ECDSA hashes
 * with SHA-256, as cosign does with every key up to version 2, or with the hash of
 * the curve's size (P-384: SHA-384, P-521: SHA-512), as it does since version 3;
 * RSA is PKCS #1 v1.5 with SHA-256; Ed25519 is the pure one (RFC 8032, section
 * 5.1). *out_key is the number of the key.
 */
bool keys_verify(const struct oci_keys *keys, const void *message, size_t size,
                 const void *signature, size_t signature_size, size_t *out_key);

/*
 * Whether a signature of so many bytes may be one of Ed25519ph (RFC 8032, section 5.1), which
 * some signers use with an Ed25519 key, and which libcrypto has from 3.2 on alone.
 */
bool keys_might_prehash(const struct oci_keys *keys, size_t signature_size);

#endif
