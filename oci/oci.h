/*
 * oci: the client of one repository, in an OCI registry and its mirrors.
 *
 * It is given a reference, credentials and a place for bytes, and gives back
 * tags, descriptors and verified bytes. Everything that a registry answers is
 * taken as hostile: sizes, counts and times are bounded (limits.h), digests are
 * computed here and never believed.
 *
 *	struct oci_client *client = oci_client_new(sources, count, &observer, cancel, &err);
 *	oci_tags(client, &tags, &err);                      the tags that are releases
 *	oci_resolve(client, tags.names, tags.count, out);   tag → manifest digest, side by side
 *	oci_manifest(client, tag, &digest, &artifact, &err); verified manifest → its one layer
 *	oci_blob(client, &artifact.layer, &sink, &err);     bytes, then the verdict
 *	oci_signature(client, &digest, keys, …, &err);      who signs a manifest
 *
 * A client is used by one thread at a time. Every call ends within a second
 * once `cancel` is raised (ERR_CANCELLED). Nothing here logs.
 *
 * Sources: OCI distribution-spec 1.1, OCI image-spec 1.1, distribution's token
 * authentication, RFC 6750, 7235, 8288, 9110.
 */
#ifndef SPECMAN_OCI_H
#define SPECMAN_OCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/digest.h"
#include "base/err.h"

enum {
	OCI_HOST_SIZE = 300,    /* HOST[:PORT] with NUL */
	OCI_NAME_SIZE = 256,    /* distribution-spec, "Pulling manifests": 255 and less */
	OCI_TAG_SIZE = 128 + 1, /* [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
	OCI_TITLE_SIZE = 256,
	OCI_CREATED_SIZE = 40, /* RFC 3339 */
	OCI_KEYS_MAX = 64,
	OCI_KEY_FILE_BYTES = 256 << 10,
	OCI_PROOF_BYTES = 768 << 10, /* a signature and what it is over, as text */
};

/*
 * err.cause of what fails here, where it is known more closely than by kind: for
 * advice to the operator. The sentence in err.msg stands for itself.
 */
enum oci_cause {
	OCI_CAUSE_NONE = 0,

	/* The way there. */
	OCI_CAUSE_HOST_UNKNOWN,      /* no address for the name */
	OCI_CAUSE_REFUSED,           /* nobody listens at the port */
	OCI_CAUSE_UNREACHABLE,       /* no route */
	OCI_CAUSE_CONNECT_TIMEOUT,   /* no answer to the first packet */
	OCI_CAUSE_STALLED,           /* connected, then silence */
	OCI_CAUSE_BROKEN_OFF,        /* the connection ended in the middle */
	OCI_CAUSE_PROXY_UNREACHABLE, /* the proxy itself can't be reached */
	OCI_CAUSE_PROXY_LOGIN,       /* 407 */
	OCI_CAUSE_PROXY_REFUSED,     /* the proxy won't connect */

	/* TLS. */
	OCI_CAUSE_TLS_UNTRUSTED,   /* a CA that is not known */
	OCI_CAUSE_TLS_INTERCEPTED, /* the same, and a proxy stands between */
	OCI_CAUSE_TLS_EXPIRED,
	OCI_CAUSE_TLS_NOT_YET_VALID,
	OCI_CAUSE_TLS_WRONG_NAME,
	OCI_CAUSE_TLS_PLAIN_HTTP,  /* the port speaks http */
	OCI_CAUSE_TLS_CLIENT_CERT, /* the server wants a client certificate, or another one */
	OCI_CAUSE_TLS_HANDSHAKE,   /* no version or cipher in common */

	/* Who asks, and what for. */
	OCI_CAUSE_LOGIN_MISSING,    /* 401, and no credentials are given */
	OCI_CAUSE_LOGIN_REFUSED,    /* 401 with username and password, or a token */
	OCI_CAUSE_TOKEN_POWERLESS,  /* a token was given, and then refused */
	OCI_CAUSE_NO_RIGHT,         /* 403 */
	OCI_CAUSE_POLICY,           /* 412: Harbor's rules on scans and signatures */
	OCI_CAUSE_REALM_REFUSED,    /* a token server that is not to be trusted */
	OCI_CAUSE_NO_TOKEN_SERVER,  /* something else answers at its address, or sends away */
	OCI_CAUSE_REDIRECT_REFUSED, /* too many, or away from TLS */
	OCI_CAUSE_REPOSITORY_UNKNOWN,
	OCI_CAUSE_NOT_A_REGISTRY, /* an answer, but none of the distribution API */
	OCI_CAUSE_CONTENT_GONE,   /* a manifest or blob is not there */
	OCI_CAUSE_RATE_LIMITED,   /* 429 */
	OCI_CAUSE_SERVER_FAILED,  /* 5xx */
	OCI_CAUSE_HELPER,         /* credentials are left to a helper program */

	/* What a registry has against a push. */
	OCI_CAUSE_PUSH_NO_RIGHT,      /* may pull, but not push */
	OCI_CAUSE_PUSH_NO_REPOSITORY, /* none of this name, and none is made by a push */
	OCI_CAUSE_PUSH_FULL,          /* its quota, or its disk */
	OCI_CAUSE_PUSH_TOO_LARGE,     /* 413: of what stands in front of it */
	OCI_CAUSE_PUSH_IMMUTABLE,     /* the tag must not be moved */

	/* Amazon's ECR. */
	OCI_CAUSE_AWS_NO_CREDENTIALS, /* none of the sources has any */
	OCI_CAUSE_AWS_KEY_UNKNOWN,
	OCI_CAUSE_AWS_SIGNATURE,     /* the secret key doesn't fit the access key */
	OCI_CAUSE_AWS_CLOCK,         /* this machine's clock is wrong */
	OCI_CAUSE_AWS_EXPIRED,       /* temporary credentials have ended */
	OCI_CAUSE_AWS_RIGHT_MISSING, /* the error names the right */
	OCI_CAUSE_AWS_ROLE_REFUSED,  /* the role can't be assumed */
	OCI_CAUSE_AWS_REGION,        /* no region is known, or it is the wrong one */

	OCI_CAUSE_LAYOUT, /* the folder is no OCI image layout */

	/* Signatures. */
	OCI_CAUSE_NOT_SIGNED,          /* there is none */
	OCI_CAUSE_SIGNED_BY_OTHER,     /* there are some, of none of the keys */
	OCI_CAUSE_SIGNATURE_MALFORMED, /* what there is can't be read, or is about something else */
	OCI_CAUSE_SIGNATURE_NOT_ASKED, /* whether there is one could not be found out */

	OCI_CAUSE_COUNT
};

/* A repository: what --repository names. */
struct oci_reference {
	char host[OCI_HOST_SIZE]; /* "harbor.example.com:5000", "[::1]:5000": lower case */
	char name[OCI_NAME_SIZE]; /* "spectro-packs/spectro-manifests/manifest" */
};

/*
 * Parse "[https://]HOST[:PORT]/NAME[/]". The grammar of the distribution-spec is
 * checked, so that neither can break a URL or a header. A tag or digest at the
 * end is refused. ERR_CONFIG says what is wrong.
 */
MUST_CHECK int oci_reference_parse(const char *text, struct oci_reference *out_reference,
                                   struct err *err);

/* Whether tag follows the grammar: only then is it a name for a path or a URL. */
bool oci_tag_is_valid(const char *tag);

/* Strings are heap strings of the struct or NULL; oci_credentials_release frees and wipes. */
struct oci_credentials {
	char *username;
	char *password;
	char *identity_token; /* a refresh token for the token server */
	char *registry_token; /* a Bearer token as it is */
};

void oci_credentials_release(struct oci_credentials *credentials);

/*
 * Find the credentials for a reference in the text of a docker config.json or
 * .dockerconfigjson (`what` names it in errors). Keys: host, host:port,
 * https://host, https://host/v1/, host/path; the longest path that is a prefix
 * of the name wins. ERR_NOT_FOUND without an entry, ERR_FORMAT for a broken
 * text, ERR_CONFIG for a credential helper, which can't be run here.
 */
MUST_CHECK int oci_docker_config_find(const char *text, size_t size, const char *what,
                                      const struct oci_reference *reference,
                                      struct oci_credentials *out_credentials, struct err *err);

/* Where the keys for Amazon's ECR come from. */
enum oci_aws_kind {
	OCI_AWS_CHAIN,        /* whatever of the usual sources there is */
	OCI_AWS_SECRET,       /* the keys given here */
	OCI_AWS_STS,          /* role_arn, assumed with the keys given here or those of the chain */
	OCI_AWS_POD_IDENTITY, /* the agent that EKS runs on each node */
};

/* Strings are heap strings of the struct or NULL; oci_aws_release frees and wipes. */
struct oci_aws {
	bool is_ecr;    /* whatever the host's name says: ECR behind a name of the operator's */
	bool is_public; /* and it is public ECR */
	enum oci_aws_kind kind;
	char *access_key;
	char *secret_key;
	char *session_token;
	char *region; /* where the host's name doesn't say it, and of STS; or NULL */
	char *role_arn;
	char *external_id;
};

void oci_aws_release(struct oci_aws *aws);

/*
 * What was asked of registries and token servers. It belongs to who makes clients, so
 * that it goes on where one client takes the place of another; the clients'
 * thread adds to it, one at a time, and any may read.
 */
enum { OCI_COUNTED_METHODS = 5, OCI_COUNTED_CODES = 31 };

struct oci_counters {
	_Atomic uint64_t answers[OCI_COUNTED_METHODS][OCI_COUNTED_CODES];
	_Atomic uint64_t received_bytes; /* of answers' bodies, or of a layout's files */
	_Atomic uint64_t retries;        /* pauses after which all sources were asked again */
	_Atomic uint64_t failovers;      /* from one source to the next */
};

/* What the two places of answers stand for: "GET"; "404", or "none" without a whole answer. */
const char *oci_counted_method(size_t index);
const char *oci_counted_code(size_t index);

/* One place to get a repository from. Borrowed during oci_client_new only. */
struct oci_settings {
	struct oci_reference reference;
	const char *layout; /* the folder of an OCI image layout: instead of a registry, or NULL */
	bool is_pushed_to;  /* a token is asked for that allows this, too */
	bool plain_http;    /* http instead of https */
	bool insecure; /* don't verify certificates of the registry's host, whatever the port */
	const char *ca_pem;   /* CAs to trust besides the system's, or NULL */
	const char *cert_pem; /* certificate chain to show the registry's host, or NULL */
	const char *key_pem;  /* its key */
	struct oci_credentials credentials; /* all NULL: anonymous */
	struct oci_aws aws;
	char *(*environment)(const char *name); /* as getenv(3), for proxies and AWS; or NULL */
	int idle_s; /* seconds with hardly a byte that end a request; 0: 60 */
	const char *user_agent;
	struct oci_counters *counters; /* must outlive the client; or NULL */
};

/*
 * Whether the settings' registry is logged in to by AWS credentials: said so, or
 * its host is one of ECR's and no other credentials are given for it.
 */
bool oci_uses_aws(const struct oci_settings *settings);

/* What an operator should know although nothing has failed yet. */
enum oci_notice_kind {
	OCI_NOTICE_RETRY,          /* all sources failed; they are asked again after a pause */
	OCI_NOTICE_FAILED_OVER,    /* a source failed, the next one is asked */
	OCI_NOTICE_MIRROR_DIFFERS, /* another source has another digest for a tag, or none */
};

/*
 * Told from the client's thread, must be quick. source is "host/name" or the
 * folder of a layout; subject what was asked for ("tags", "tag 4.5.15", "blob
 * sha256:…"); detail a sentence. pause_ms is that of OCI_NOTICE_RETRY, else 0.
 */
struct oci_observer {
	void (*notice)(void *ctx, enum oci_notice_kind kind, const char *source,
	               const char *subject, const char *detail, int64_t pause_ms);
	void *ctx;
};

struct oci_client;

/*
 * A client of one repository at `count` sources: the registry and its mirrors.
 * They are asked in order at every stage. The digest of a tag is what the first
 * source that answers says; bytes come from whichever has them, since their
 * digest proves them. A source that can't be reached is asked last for a while.
 *
 * When all fail and one for a reason that may pass (ERR_NETWORK, unless it is a
 * matter of certificates or TLS versions), they are asked again after a pause, at most five times
 * in a round, that is from one oci_tags to the next. Retry-After is honoured; one of more than a
 * minute ends the round. observer may be NULL.
 */
MUST_CHECK struct oci_client *oci_client_new(const struct oci_settings *sources, size_t count,
                                             const struct oci_observer *observer,
                                             const struct cancel *cancel, struct err *err);
/* How many pauses there may be in a round instead of five; 0: each question is asked once. */
void oci_client_set_retries(struct oci_client *client, unsigned retries);

void oci_client_free(struct oci_client *client);

struct oci_tags {
	char **names; /* unique, valid, in the registry's order */
	size_t count;
	size_t source; /* which of the client's has given them; beyond the first it is a mirror */
};

void oci_tags_release(struct oci_tags *tags);

/*
 * The repository's tags, all pages of them (distribution-spec, "Listing tags";
 * RFC 8288). Tags of signatures and attachments and tags outside the grammar
 * are left out. Either the whole list or an error: a partial list proves
 * nothing. Errors: ERR_NETWORK, ERR_AUTH, ERR_NOT_FOUND (no such repository), ERR_LOST,
 * ERR_FORMAT, ERR_LIMIT (over 10,000 tags, or pages in a loop).
 */
MUST_CHECK int oci_tags(struct oci_client *client, struct oci_tags *out_tags, struct err *err);

/* What became of one tag. */
struct oci_resolved {
	int failed; /* 0: digest is set; -1: err says why */
	struct digest digest;
	struct err err;
};

/*
 * Ask which manifest each tag names now: one HEAD a tag, up to 16 side by side
 * (GET where HEAD gives no Docker-Content-Digest, is hung up on, or fails with
 * anything but 401 and 404; the digest is computed then). out_resolved has
 * `count` places, all of which are filled. One tag's failure does not stop the
 * others; when the source can't be reached at all, they aren't asked for. The source
 * that gave the list is asked first, and its word that a tag is gone stands.
 */
void oci_resolve(struct oci_client *client, char *const *tags, size_t count,
                 struct oci_resolved *out_resolved);

struct oci_descriptor {
	struct digest digest;
	int64_t size; /* bytes; never negative */
};

/* A manifest, verified and understood. */
struct oci_artifact {
	struct digest manifest;         /* that was asked for */
	struct oci_descriptor layer;    /* the archive */
	char title[OCI_TITLE_SIZE];     /* base name of the layer's title, or "" */
	char created[OCI_CREATED_SIZE]; /* org.opencontainers.image.created, or "" */
};

/*
 * Fetch the manifest with this digest (distribution-spec, "Pulling manifests"),
 * verify it, and choose its layer: the one whose title's base name is
 * manifests.tgz, else the only one. Understood are OCI image manifests, OCI
 * artifact manifests, Docker schema 2, and indexes of these with one entry or
 * one for this platform; `tag` is for the errors' text. out_artifact->manifest
 * is `digest` also when an index stood in front. Errors: as oci_tags, and
 * ERR_DIGEST when the bytes are not those of the digest, ERR_LIMIT beyond 4 MiB.
 */
MUST_CHECK int oci_manifest(struct oci_client *client, const char *tag, const struct digest *digest,
                            struct oci_artifact *out_artifact, struct err *err);

/*
 * Where bytes go as they come. restart takes back all that was written: better
 * ones follow. Both return 0, or -1 with err filled: then the transfer ends.
 */
struct oci_sink {
	int (*write)(void *ctx, const void *bytes, size_t size, struct err *err);
	int (*restart)(void *ctx, struct err *err);
	void *ctx;
	/*
	 * What an earlier transfer of this blob has left in the sink, or 0. It is
	 * read back and hashed, so it may be anything; read is needed only then.
	 */
	uint64_t held;
	int (*read)(void *ctx, void *bytes, size_t size, uint64_t offset, struct err *err);
};

/*
 * Stream a blob into sink, hashing on the way (distribution-spec, "Pulling
 * blobs"). Only a return of 0 says that the bytes are those of the descriptor;
 * until then nothing of them may be used. What breaks off goes on where it
 * stopped, there or at another source (RFC 9110, section 14.2), and what the sink
 * holds from before is not asked for again unless it turns out wrong. Errors: as oci_tags,
 * ERR_DIGEST when size or digest differ, and what the sink reports.
 */
MUST_CHECK int oci_blob(struct oci_client *client, const struct oci_descriptor *blob,
                        const struct oci_sink *sink, struct err *err);

/* Public keys, each of which may sign. Once filled they may be used by any thread. */
struct oci_keys;

MUST_CHECK struct oci_keys *oci_keys_new(struct err *err);
void oci_keys_free(struct oci_keys *keys);

/*
 * Add the keys of a PEM text (RFC 7468, section 13): one or several, ECDSA on P-256,
 * P-384 or P-521, RSA of 2048 to 8192 bits, Ed25519. One that is there already is not
 * added again. `what` names the text in errors: ERR_CONFIG.
 */
MUST_CHECK int oci_keys_add(struct oci_keys *keys, const char *pem, size_t size, const char *what,
                            struct err *err);
size_t oci_keys_count(const struct oci_keys *keys);

struct oci_key_info {
	char kind[24];                      /* "ECDSA P-256", "RSA 3072" */
	char fingerprint[DIGEST_TEXT_SIZE]; /* "sha256:…" of its SubjectPublicKeyInfo in DER */
};

void oci_keys_describe(const struct oci_keys *keys, size_t number, struct oci_key_info *out_info);

/*
 * Ask whether one of the keys signs a manifest, in the ways of cosign: the tag
 * sha256-<hex>.sig, and the referrers of the manifest (distribution-spec 1.1, "Listing
 * Referrers", with its fallback tag sha256-<hex>), simple signing or a bundle. Each source
 * is asked, as for all else, until one has such a signature. 0: *out_key is the number of
 * the key, and out_proof (empty, of OCI_PROOF_BYTES) a text for oci_proof_check. -1 is one
 * of two things:
 *
 *	ERR_UNSIGNED    no key signs it: there is no signature, or none that counts; the
 *	                cause is one of the first three of signatures
 *	any other kind  it could not be found out; no cause or that of what went wrong
 */
MUST_CHECK int oci_signature(struct oci_client *client, const struct digest *manifest,
                             const struct oci_keys *keys, struct buf *out_proof, size_t *out_key,
                             struct err *err);

/* The same by a text that was kept, without asking anybody. ERR_UNSIGNED with a cause. */
MUST_CHECK int oci_proof_check(const char *proof, size_t size, const struct digest *manifest,
                               const struct oci_keys *keys, size_t *out_key, struct err *err);

/* A private key that signs what is pushed. */
struct oci_signer;

/*
 * Of a PEM text (PKCS #8, or as openssl's older commands write it) without a password, of
 * a kind that oci_keys_add takes. `what` names the text in errors: ERR_CONFIG.
 */
MUST_CHECK struct oci_signer *oci_signer_new(const char *pem, size_t size, const char *what,
                                             struct err *err);
void oci_signer_free(struct oci_signer *signer);
void oci_signer_describe(const struct oci_signer *signer, struct oci_key_info *out_info);

/* One file, to become the only layer of an artifact. */
struct oci_push {
	const char *tag;
	int fd; /* the layer's bytes, from 0 on; must not change meanwhile */
	struct oci_descriptor layer;
	int64_t created_s;               /* since 1970: org.opencontainers.image.created */
	const struct oci_signer *signer; /* or NULL: it is not signed */
};

struct oci_push_observer {
	struct oci_observer observer; /* of pauses */
	/* How many of the layer's bytes are on their way. Called often; may go back. */
	void (*progress)(void *ctx, int64_t bytes);
	void *ctx;
};

/* What has become of it. */
struct oci_pushed {
	struct digest manifest;
	bool layer_was_there; /* or in another repository of the registry, and was not sent */
	bool is_read_back;    /* the layer was fetched again; a large one is only looked for */
};

/*
 * Push the file as the artifact that ORAS 1.0.0 makes of a manifests.tgz
 * (distribution-spec, "Push"), under a tag of settings->reference, then read it
 * back as a client would. With a signer, the signature is pushed as cosign does, before
 * the tag names the artifact. Blobs that are there are not sent. What may pass is
 * tried again after a pause, `retries` times without progress at the most; a
 * large layer goes on where it stopped. Errors: ERR_NETWORK; ERR_AUTH, also for a tag that
 * must not be moved; ERR_NOT_FOUND; ERR_NO_SPACE for a quota; ERR_DIGEST when what is read back
 * is something else; ERR_IO for the file; ERR_FORMAT; ERR_CANCELLED. Once it returns 0, the tag
 * names the artifact, and all of it is there.
 */
MUST_CHECK int oci_push(const struct oci_settings *settings, const struct oci_push *push,
                        const struct oci_push_observer *observer, unsigned retries,
                        const struct cancel *cancel, struct oci_pushed *out_pushed,
                        struct err *err);

#endif
