/* The mounted Secret; see secret.h. */
#include "secret.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/crypto.h>

#include "base/cleanup.h"
#include "base/io.h"

/* Compared without case, "-" and "_". Of two spellings of one key the one read last counts. */
static const struct {
	const char *spelling;
	enum secret_key key;
} spellings[] = {
	{ "endpoint", SECRET_ENDPOINT },
	{ "basecontentpath", SECRET_BASE_PATH },
	{ "basepath", SECRET_BASE_PATH },
	{ "username", SECRET_USERNAME },
	{ "password", SECRET_PASSWORD },
	{ "token", SECRET_TOKEN },
	{ "cacert", SECRET_CA },
	{ "clientcert", SECRET_CLIENT_CERT },
	{ "clientkey", SECRET_CLIENT_KEY },
	{ "insecureskipverify", SECRET_INSECURE },
	{ "insecureverify", SECRET_INSECURE },
	{ "mirrorregistries", SECRET_MIRRORS },
	{ ".dockerconfigjson", SECRET_DOCKER_CONFIG },
	{ "accesskey", SECRET_ACCESS_KEY },
	{ "secretkey", SECRET_SECRET_KEY },
	{ "sessiontoken", SECRET_SESSION_TOKEN },
	{ "credentialtype", SECRET_CREDENTIAL_TYPE },
	{ "isprivate", SECRET_IS_PRIVATE },
	{ "region", SECRET_REGION },
	{ "defaultregion", SECRET_DEFAULT_REGION },
	{ "arn", SECRET_ARN },
	{ "externalid", SECRET_EXTERNAL_ID },
};

enum { SPELLING_COUNT = sizeof(spellings) / sizeof(spellings[0]) };

enum { READS_MAX = 20 }; /* of a secret that changes while it is read */

void secret_release(struct secret *secret)
{
	for (size_t i = 0; i < SECRET_KEY_COUNT; i++) {
		if (secret->values[i].data)
			OPENSSL_cleanse(secret->values[i].data, secret->values[i].size);
		buf_release(&secret->values[i]);
	}
}

static bool is_spelling(const char *name, const char *spelling)
{
	for (; *name; name++) {
		if (*name == '-' || *name == '_')
			continue;
		if (tolower((unsigned char)*name) != *spelling++)
			return false;
	}
	return !*spelling;
}

/* Files made with echo end with a newline that is not part of the value. */
static void trim(struct buf *value)
{
	while (value->size && strchr("\r\n", value->data[value->size - 1]))
		value->data[--value->size] = '\0';
}

static int read_key(int dir, const char *name, struct secret *secret, struct err *err)
{
	for (size_t i = 0; i < SPELLING_COUNT; i++) {
		struct buf *value = &secret->values[spellings[i].key];

		if (!is_spelling(name, spellings[i].spelling))
			continue;
		buf_clear(value);
		if (io_read_file(dir, name, value, err))
			return err_context(err, "secret");
		if (memchr(buf_text(value), '\0', value->size))
			return err_set(err, ERR_FORMAT, "secret: %s has a NUL", name);
		trim(value);
	}
	return 0;
}

/* Read all keys that lie in a folder, which is closed then. */
static int read_keys(DIR *dir, struct secret *secret, struct err *err)
{
	const struct dirent *entry;
	int failed = 0;

	for (size_t i = 0; i < SECRET_KEY_COUNT; i++)
		if (secret->values[i].data)
			OPENSSL_cleanse(secret->values[i].data, secret->values[i].size);
	for (size_t i = 0; i < SECRET_KEY_COUNT; i++)
		buf_clear(&secret->values[i]);
	while (!failed && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "..", 2) != 0 && strcmp(entry->d_name, ".") != 0)
			failed = read_key(dirfd(dir), entry->d_name, secret, err);
	(void)closedir(dir);
	return failed;
}

/* The folder that the kubelet's link leads to now; where there is none, the secret's own. */
static DIR *open_version(const char *path, char version[static PATH_MAX], struct stat *st)
{
	DIR *dir;

	(void)snprintf(version, PATH_MAX, "%s/..data", path);
	dir = opendir(version);
	if (!dir && (errno == ENOENT || errno == ENOTDIR)) {
		(void)snprintf(version, PATH_MAX, "%s", path);
		dir = opendir(version);
	}
	if (dir && fstat(dirfd(dir), st)) {
		(void)closedir(dir);
		return NULL;
	}
	return dir;
}

int secret_read(const char *path, struct secret *secret, struct err *err)
{
	for (size_t i = 0; i < SECRET_KEY_COUNT; i++)
		secret->values[i] = (struct buf)BUF_INIT(SECRET_MAX_BYTES);
	for (int tries = 0; tries < READS_MAX; tries++) {
		char version[PATH_MAX];
		struct stat before, after;
		DIR *dir = open_version(path, version, &before);
		int failed;

		if (!dir && (errno == ENOENT || errno == ENOTDIR))
			return 0;
		if (!dir)
			return err_set_sys(err, errno, "open the secret %s", path);
		failed = read_keys(dir, secret, err);
		/* The kubelet swaps the link first, and then removes what it led to. The new
		 * folder may have got the number of one that is gone, but was made later. */
		if (!stat(version, &after) && after.st_dev == before.st_dev &&
		    after.st_ino == before.st_ino &&
		    after.st_ctim.tv_sec == before.st_ctim.tv_sec &&
		    after.st_ctim.tv_nsec == before.st_ctim.tv_nsec)
			return failed;
	}
	return err_set(err, ERR_IO, "the secret %s changes too often to be read", path);
}

const char *secret_value(const struct secret *secret, enum secret_key key)
{
	return secret->values[key].size ? secret->values[key].data : NULL;
}

static bool is_known(const char *name)
{
	for (size_t i = 0; i < SPELLING_COUNT; i++)
		if (is_spelling(name, spellings[i].spelling))
			return true;
	return false;
}

int secret_unknown_keys(const char *path, struct buf *names, struct err *err)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int failed = 0;

	while (dir && !failed && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !is_known(entry->d_name))
			failed = buf_addf(names, err, "%s%s", names->size ? " " : "",
			                  entry->d_name);
	if (dir)
		(void)closedir(dir);
	return failed;
}

uint64_t secret_fingerprint(const char *path)
{
	uint64_t sum = 0; /* of entries, whose order is the folder's own */
	const struct dirent *entry;
	struct stat st;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		uint64_t one = IO_FINGERPRINT_START;

		if (entry->d_name[0] == '.' && strcmp(entry->d_name, ".dockerconfigjson") != 0)
			continue;
		if (!fstatat(dirfd(dir), entry->d_name, &st, 0))
			one = io_fingerprint(one, &st);
		sum += one;
	}
	if (dir)
		(void)closedir(dir);
	return sum;
}

const char *secret_spelling(enum secret_key key)
{
	static const char *const names[SECRET_KEY_COUNT] = {
		[SECRET_ENDPOINT] = "endpoint",
		[SECRET_BASE_PATH] = "baseContentPath",
		[SECRET_USERNAME] = "username",
		[SECRET_PASSWORD] = "password",
		[SECRET_TOKEN] = "token",
		[SECRET_CA] = "caCert",
		[SECRET_CLIENT_CERT] = "clientCert",
		[SECRET_CLIENT_KEY] = "clientKey",
		[SECRET_INSECURE] = "insecureSkipVerify",
		[SECRET_MIRRORS] = "mirrorRegistries",
		[SECRET_DOCKER_CONFIG] = ".dockerconfigjson",
		[SECRET_ACCESS_KEY] = "accessKey",
		[SECRET_SECRET_KEY] = "secretKey",
		[SECRET_SESSION_TOKEN] = "sessionToken",
		[SECRET_CREDENTIAL_TYPE] = "credentialType",
		[SECRET_IS_PRIVATE] = "isPrivate",
		[SECRET_REGION] = "region",
		[SECRET_DEFAULT_REGION] = "defaultRegion",
		[SECRET_ARN] = "arn",
		[SECRET_EXTERNAL_ID] = "externalId",
	};

	return names[key];
}

/* ---- mounts: proc(5), /proc/pid/mountinfo ---- */

/* Spaces, tabs, line ends and backslashes are written as \ooo. In place. */
static void unescape(char *path)
{
	char *to = path;

	for (const char *from = path; *from; to++) {
		unsigned code;

		if (*from == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
			*to = (char)code;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* Whether one line of mountinfo is a mount of a key, or of one version of the folder. */
static bool freezes(char *line, const char *dir, char key[static NAME_MAX + 1])
{
	char root[PATH_MAX], point[PATH_MAX];
	size_t length = strlen(dir);

	if (sscanf(line, "%*u %*u %*s %4095s %4095s", root, point) != 2)
		return false;
	unescape(root);
	unescape(point);
	if (strncmp(point, dir, length) != 0)
		return false;
	if (!point[length]) {
		(void)snprintf(key, NAME_MAX + 1, ".");
		return strstr(root, "/..") != NULL;
	}
	if (point[length] != '/' || strchr(point + length + 1, '/'))
		return false;
	(void)snprintf(key, NAME_MAX + 1, "%.*s", NAME_MAX, point + length + 1);
	return true;
}

bool secret_is_frozen(const char *path, char key[static NAME_MAX + 1])
{
	CLEANUP(cleanup_file) FILE *mounts = fopen("/proc/self/mountinfo", "re");
	CLEANUP(cleanup_free) char *dir = realpath(path, NULL);
	CLEANUP(cleanup_free) char *line = NULL;
	size_t room = 0;

	while (mounts && dir && getline(&line, &room, mounts) > 0)
		if (freezes(line, dir, key))
			return true;
	return false;
}
