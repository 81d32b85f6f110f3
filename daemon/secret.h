/*
 * The mounted Secret with registry and credentials: each key a file, spelled
 * as whoever wrote it likes (camelCase, snake_case, kebab-case, upper case).
 */
#ifndef SPECMAN_SECRET_H
#define SPECMAN_SECRET_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum secret_key {
	SECRET_ENDPOINT,
	SECRET_BASE_PATH,
	SECRET_USERNAME,
	SECRET_PASSWORD,
	SECRET_TOKEN,
	SECRET_CA,
	SECRET_CLIENT_CERT,
	SECRET_CLIENT_KEY,
	SECRET_INSECURE,
	SECRET_MIRRORS,
	SECRET_DOCKER_CONFIG,
	SECRET_ACCESS_KEY,
	SECRET_SECRET_KEY,
	SECRET_SESSION_TOKEN,
	SECRET_CREDENTIAL_TYPE,
	SECRET_IS_PRIVATE,
	SECRET_REGION,
	SECRET_DEFAULT_REGION,
	SECRET_ARN,
	SECRET_EXTERNAL_ID,
	SECRET_KEY_COUNT
};

enum { SECRET_MAX_BYTES = 1024 * 1024 }; /* what Kubernetes allows a Secret */

/* What a secret holds. Starts zeroed; secret_release wipes. */
struct secret {
	struct buf values[SECRET_KEY_COUNT];
};

/*
 * Read a folder: all keys as they were at one moment, also while the kubelet
 * swaps them, so that no password of before goes to an endpoint of after. One
 * that is not there is an empty secret: its mount is optional. ERR_IO,
 * ERR_LIMIT, or ERR_FORMAT for a value with a NUL.
 */
MUST_CHECK int secret_read(const char *dir, struct secret *secret, struct err *err);
void secret_release(struct secret *secret);

/* A value without the line ends behind it, owned by the secret; NULL: not there, or empty. */
const char *secret_value(const struct secret *secret, enum secret_key key);

/* How the documentation spells a key. */
const char *secret_spelling(enum secret_key key);

/*
 * Whether the folder, or a key in it, was mounted by subPath: then it shows for
 * ever what it was at the pod's start. (The kubelet swaps ..data for a new folder;
 * a mount of what lay in the old one stays.) `key` becomes the name of what is so
 * mounted. False as well when /proc does not say.
 */
bool secret_is_frozen(const char *dir, char key[static NAME_MAX + 1]);

/*
 * Append the names of the keys that nobody here understands, separated by
 * spaces; never a value.
 */
MUST_CHECK int secret_unknown_keys(const char *dir, struct buf *names, struct err *err);

/* A number that changes when a key appears, changes or vanishes. Reads no content. */
uint64_t secret_fingerprint(const char *dir);

#endif
