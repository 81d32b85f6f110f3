/*
 * Advice: for each cause of a failure that an operator can meet, a short name to
 * search for and what to do about it. One table, for `specman check` and for the
 * log alike; a failure's own sentence (err.msg) says what failed, on what and why.
 */
#ifndef SPECMAN_ADVICE_H
#define SPECMAN_ADVICE_H

#include "base/err.h"
#include "oci/oci.h"

/* The causes of the daemon's own, behind those of oci: together the numbers of err.cause here. */
enum advice_cause {
	/* Configuration and secret. */
	ADVICE_NO_REPOSITORY = OCI_CAUSE_COUNT, /* neither a flag nor the secret names one */
	ADVICE_FILE_UNREADABLE,                 /* a file that a flag names */
	ADVICE_SECRET_UNREADABLE,               /* the mounted secret's folder or a key in it */
	ADVICE_SECRET_VALUE,                    /* a key's value can't be used */
	ADVICE_SECRET_KEY_UNKNOWN,              /* nobody here understands the key's name */
	ADVICE_SECRET_SUBPATH,                  /* mounted so that it never changes */
	ADVICE_DOCKER_CONFIG,                   /* not the JSON that it should be */
	ADVICE_REGISTRY_SETTINGS,               /* CA, client certificate or user name are bad */
	ADVICE_NOT_VERIFIED,                    /* certificates are not checked, as was wished */
	ADVICE_NOT_ENCRYPTED,                   /* plain http, as was wished */

	/* The data directory. */
	ADVICE_DATA_DIR_MISSING, /* and can't be made */
	ADVICE_DATA_DIR_NO_FOLDER,
	ADVICE_DATA_DIR_UNWRITABLE,
	ADVICE_DATA_DIR_READ_ONLY, /* its file system is */
	ADVICE_DATA_DIR_IO,        /* the disk fails */
	ADVICE_DISK_FULL,
	ADVICE_DISK_LOW, /* the newest release would not fit */
	ADVICE_STORE_FORMAT,

	/* The certificate for clients. */
	ADVICE_CERT_UNREADABLE,
	ADVICE_CERT_BAD,
	ADVICE_KEY_BAD,
	ADVICE_KEY_OTHER, /* the certificate's key is another one */
	ADVICE_CERT_EXPIRED,
	ADVICE_CERT_EXPIRES_SOON,
	ADVICE_CERT_NOT_YET_VALID,
	ADVICE_CERT_OTHER_NAME,
	ADVICE_SELF_MADE_BROKEN,
	ADVICE_KEY_KIND, /* not one of FIPS mode */

	ADVICE_FIPS, /* OpenSSL's provider is missing or broken */

	ADVICE_VERIFY_KEY, /* a file of --verify-key has no usable keys */

	/* Who may ask. */
	ADVICE_CLIENT_CA_BAD,
	ADVICE_CLIENT_CA_UNFIT, /* it can be read, and nobody is let in by it */
	ADVICE_USERS,           /* lines of the htpasswd file */
	ADVICE_HOOK_TOKEN,      /* a file without a token */

	ADVICE_CLOCK,

	/* What the repository has. */
	ADVICE_REPOSITORY_EMPTY,
	ADVICE_DIGEST,         /* bytes are not those that were promised */
	ADVICE_MIRROR_DIFFERS, /* about a tag's digest */
	ADVICE_ROLLBACK,       /* it has something older than what is served */
	ADVICE_RELEASE_UNFIT,  /* an archive has what may not be served */

	/* Pushing: what is here. What a registry has against it is among oci's. */
	ADVICE_PUSH_LOGIN,
	ADVICE_PUSH_UNREADABLE, /* a file or folder */
	ADVICE_PUSH_UNFIT,      /* specman would refuse to unpack it */
	ADVICE_PUSH_NO_ROOM,    /* for what is temporary */
	ADVICE_PUSH_SIGN_KEY,   /* it can't be signed with */

	ADVICE_CAUSE_COUNT
};

struct advice {
	const char *name; /* kebab-case */
	const char *text; /* what to do: one or more sentences */
};

/* The advice for a number of err.cause; NULL for OCI_CAUSE_NONE and numbers that are none. */
const struct advice *advice_find(int cause);

/*
 * The cause of a failure, if need be from its kind, for advice_find; 0 when the
 * sentence is all that is known.
 */
int advice_cause_of(const struct err *err);

#endif
