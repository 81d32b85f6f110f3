/* Which registry, and as whom; see registry.h. */
#include "registry.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"

enum { SECRET_MAX_BYTES = 1024 * 1024 }; /* what Kubernetes allows a Secret */

/* The platform puts this below its base content path. */
static const char manifest_path[] = "spectro-manifests/manifest";

/* What a secret may hold; spellings are compared without case, "-" and "_". */
enum key { ENDPOINT, BASE_PATH, USERNAME, PASSWORD, TOKEN, CA, INSECURE, DOCKER_CONFIG, KEY_COUNT };

static const struct {
	const char *spelling;
	enum key key;
} spellings[] = {
	{ "endpoint", ENDPOINT },
	{ "basecontentpath", BASE_PATH },
	{ "basepath", BASE_PATH },
	{ "username", USERNAME },
	{ "password", PASSWORD },
	{ "token", TOKEN },
	{ "cacert", CA },
	{ "insecureskipverify", INSECURE },
	{ "insecureverify", INSECURE },
	{ ".dockerconfigjson", DOCKER_CONFIG },
};

struct secret {
	struct buf values[KEY_COUNT];
};

static void secret_release(struct secret *secret)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
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
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
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

/* A secret that is not there is an empty one: its mount is optional. */
static int secret_read(const char *path, struct secret *secret, struct err *err)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int failed = 0;

	for (size_t i = 0; i < KEY_COUNT; i++)
		secret->values[i] = (struct buf)BUF_INIT(SECRET_MAX_BYTES);
	if (!dir && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (!dir)
		return err_set_sys(err, errno, "open the secret %s", path);
	while (!failed && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "..", 2) != 0 && strcmp(entry->d_name, ".") != 0)
			failed = read_key(dirfd(dir), entry->d_name, secret, err);
	(void)closedir(dir);
	return failed;
}

static const char *value_of(const struct secret *secret, enum key key)
{
	return secret->values[key].size ? secret->values[key].data : NULL;
}

static int name_repository(const struct config *config, const struct secret *secret,
                           struct oci_reference *out_reference, struct err *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
	const char *endpoint = value_of(secret, ENDPOINT);
	const char *base = buf_text(&secret->values[BASE_PATH]);
	size_t length;

	if (config->repository)
		return oci_reference_parse(config->repository, out_reference, err)
		               ? err_context(err, "--repository")
		               : 0;
	if (!endpoint)
		return err_set(err, ERR_NOT_FOUND,
		               "neither --repository nor the secret %s names a registry",
		               config->registry_secret_dir);
	length = strlen(endpoint);
	while (length && endpoint[length - 1] == '/')
		length--;
	base += strspn(base, "/");
	if (buf_addf(&text, err, "%.*s/%s", (int)length, endpoint, base))
		return -1;
	while (text.size && text.data[text.size - 1] == '/')
		text.data[--text.size] = '\0';
	if (buf_addf(&text, err, "/%s", manifest_path) ||
	    oci_reference_parse(text.data, out_reference, err))
		return err_context(err, "the secret's endpoint and base path");
	return 0;
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static int read_flag_credentials(const struct config *config, struct oci_credentials *credentials,
                                 struct err *err)
{
	CLEANUP(buf_release) struct buf password = BUF_INIT(64 * 1024);

	if (io_read_file(AT_FDCWD, config->registry_password_file, &password, err))
		return err_context(err, "--registry-password-file");
	trim(&password);
	credentials->username = copy(config->registry_username);
	credentials->password = copy(buf_text(&password));
	if (password.data)
		OPENSSL_cleanse(password.data, password.size);
	return 0;
}

/* No entry for this registry is no error: it may take anonymous clients. */
static int find_in_config(const struct buf *text, const char *what,
                          const struct oci_reference *reference,
                          struct oci_credentials *credentials, struct err *err)
{
	struct err reason;

	if (!oci_docker_config_find(buf_text(text), text->size, what, reference, credentials,
	                            &reason))
		return 0;
	if (reason.kind == ERR_NOT_FOUND)
		return 0;
	*err = reason;
	return -1;
}

static int find_credentials(const struct config *config, const struct secret *secret,
                            const struct oci_reference *reference,
                            struct oci_credentials *credentials, struct err *err)
{
	const char *password = value_of(secret, PASSWORD);

	if (config->registry_username)
		return read_flag_credentials(config, credentials, err);
	if (config->registry_config) {
		CLEANUP(buf_release) struct buf text = BUF_INIT(SECRET_MAX_BYTES);

		if (io_read_file(AT_FDCWD, config->registry_config, &text, err))
			return err_context(err, "--registry-config");
		return find_in_config(&text, config->registry_config, reference, credentials, err);
	}
	if (value_of(secret, USERNAME)) {
		credentials->username = copy(value_of(secret, USERNAME));
		credentials->password = copy(password ? password
		                                      : buf_text(&secret->values[TOKEN]));
		return 0;
	}
	if (value_of(secret, TOKEN)) {
		credentials->registry_token = copy(value_of(secret, TOKEN));
		return 0;
	}
	if (value_of(secret, DOCKER_CONFIG))
		return find_in_config(&secret->values[DOCKER_CONFIG], ".dockerconfigjson",
		                      reference, credentials, err);
	return 0;
}

/* PEM, or base64 of PEM. */
static int decode_ca(const struct buf *value, const char **out_pem, struct err *err)
{
	CLEANUP(buf_release) struct buf packed = BUF_INIT(SECRET_MAX_BYTES);
	unsigned char *pem;
	int size;

	if (strstr(value->data, "-----BEGIN")) {
		*out_pem = copy(value->data);
		return 0;
	}
	for (const char *at = value->data; *at; at++)
		if (!isspace((unsigned char)*at) && buf_add(&packed, at, 1, err))
			return -1;
	pem = calloc(1, packed.size + 1);
	if (!pem)
		return err_set_sys(err, ENOMEM, "CA certificate");
	size = EVP_DecodeBlock(pem, (const unsigned char *)buf_text(&packed), (int)packed.size);
	if (size <= 0 || !strstr((char *)pem, "-----BEGIN")) {
		free(pem);
		return err_set(err, ERR_CONFIG,
		               "the secret's caCert is neither PEM nor base64 of PEM");
	}
	*out_pem = (char *)pem;
	return 0;
}

static int find_ca(const struct config *config, const struct secret *secret, const char **out_pem,
                   struct err *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(SECRET_MAX_BYTES);

	if (config->registry_ca) {
		if (io_read_file(AT_FDCWD, config->registry_ca, &text, err))
			return err_context(err, "--registry-ca");
		*out_pem = buf_steal(&text);
		return 0;
	}
	return value_of(secret, CA) ? decode_ca(&secret->values[CA], out_pem, err) : 0;
}

int registry_load(const struct config *config, struct oci_settings *out_settings, struct err *err)
{
	CLEANUP(secret_release) struct secret secret = { 0 };
	CLEANUP(registry_release) struct oci_settings settings = { .ca_pem = NULL };
	const char *insecure;

	if (secret_read(config->registry_secret_dir, &secret, err) ||
	    name_repository(config, &secret, &settings.reference, err) ||
	    find_credentials(config, &secret, &settings.reference, &settings.credentials, err) ||
	    find_ca(config, &secret, &settings.ca_pem, err))
		return -1;
	insecure = value_of(&secret, INSECURE);
	settings.plain_http = config->plain_http;
	settings.insecure = config->registry_insecure ||
	                    (insecure && !strcasecmp(insecure, "true"));
	settings.user_agent = "specman/" SPECMAN_VERSION;
	*out_settings = settings;
	settings = (struct oci_settings){ .ca_pem = NULL };
	return 0;
}

void registry_release(struct oci_settings *settings)
{
	oci_credentials_release(&settings->credentials);
	free((void *)(uintptr_t)settings->ca_pem);
	settings->ca_pem = NULL;
}

static bool is_known(const char *name)
{
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
		if (is_spelling(name, spellings[i].spelling))
			return true;
	return false;
}

int registry_unknown_keys(const struct config *config, struct buf *names, struct err *err)
{
	DIR *dir = opendir(config->registry_secret_dir);
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

static void mix(uint64_t *hash, const struct stat *st)
{
	const uint64_t parts[] = { (uint64_t)st->st_ino, (uint64_t)st->st_size,
		                   (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		*hash = (*hash ^ parts[i]) * 1099511628211ULL;
}

uint64_t registry_fingerprint(const struct config *config)
{
	const char *files[] = { config->registry_config, config->registry_password_file,
		                config->registry_ca };
	uint64_t hash = 14695981039346656037ULL;
	uint64_t sum = 0; /* of entries, whose order is the folder's own */
	const struct dirent *entry;
	struct stat st;
	DIR *dir;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (files[i] && !stat(files[i], &st))
			mix(&hash, &st);
	dir = opendir(config->registry_secret_dir);
	while (dir && (entry = readdir(dir))) {
		uint64_t one = 14695981039346656037ULL;

		if (entry->d_name[0] == '.' && strcmp(entry->d_name, ".dockerconfigjson") != 0)
			continue;
		if (!fstatat(dirfd(dir), entry->d_name, &st, 0))
			mix(&one, &st);
		sum += one;
	}
	if (dir)
		(void)closedir(dir);
	return hash ^ sum;
}
