/* The steps of `specman check`, each in a file of its own; they report, and change nothing. */
#ifndef SPECMAN_CHECK_STEPS_H
#define SPECMAN_CHECK_STEPS_H

#include "check_report.h"

/*
 * OpenSSL: which it is, and whether its FIPS provider is active; with --fips that
 * it can be used. False: nothing that needs OpenSSL may run.
 */
bool check_openssl(struct check *check);

/* The mounted secret: which keys it has, and whether a change of it will arrive. */
void check_secret(struct check *check);

/*
 * The data directory: there or to be made, writable and durable, with room. A
 * daemon may be running on it: its lock is left alone, and the file that is
 * written has no name.
 */
void check_disk(struct check *check);

/* Bytes that a download may use on the data directory's file system; 0 when that can't be said. */
uint64_t check_disk_room(const struct config *config);

/* The certificate that clients on 8443 are shown. */
void check_certificate(struct check *check);

/* Who may ask: the CAs of client certificates and users with passwords on 8443, webhooks on 8080.
 */
void check_clients(struct check *check);

/* The clock, by what can't be from the future. */
void check_clock(struct check *check);

/* The keys of --verify-key: which they are. They are in check->keys then, for who made it to free.
 */
void check_signers(struct check *check);

/* Whether a release is signed by one of them. -1: it would not be taken. With --verify-key only. */
MUST_CHECK int check_signature(struct check *check, struct oci_client *client, const char *tag,
                               const struct digest *manifest);

/* The same for those before the newest, as a warning; the tags are sorted, newest first. */
void check_older_signatures(struct check *check, struct oci_client *client,
                            const struct oci_tags *tags);

/*
 * The repository and each mirror: reach, TLS, login, tags, and of the newest tag
 * that is taken the signature, the manifest and the first bytes of its content. curl_global_init
 * was called.
 */
void check_sources(struct check *check);

#endif
