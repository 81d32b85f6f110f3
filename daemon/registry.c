/* Where to get the repository from, and as whom; see registry.h. */
#include "registry.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "advice.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "secret.h"

/* The platform puts this below its base content path. */
static const char manifest_path[] = "spectro-manifests/manifest";

/* What the settings of all sources are made from. */
struct parts {
	const struct config *config;
	struct secret secret;
	struct buf docker_config; /* of --registry-config, or of the secret */
	const char *docker_config_name;
};

static void parts_release(struct parts *parts)
{
	secret_release(&parts->secret);
	if (parts->docker_config.data)
		OPENSSL_cleanse(parts->docker_config.data, parts->docker_config.size);
	buf_release(&parts->docker_config);
}

static int copy(const char *text, char **out, struct err *err)
{
	if (!text)
		return 0;
	*out = strdup(text);
	return *out ? 0 : err_set_sys(err, ENOMEM, "registry settings");
}

/* Files made with echo end with a newline that is not part of the value. */
static void trim(struct buf *value)
{
	while (value->size && strchr("\r\n", value->data[value->size - 1]))
		value->data[--value->size] = '\0';
}

static bool is_true(const char *text)
{
	return text &&
	       (!strcasecmp(text, "true") || !strcmp(text, "1") || !strcasecmp(text, "yes"));
}

/* ---- names ---- */

static int name_by_secret(const struct parts *parts, struct oci_reference *out_reference,
                          struct err *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
	const char *endpoint = secret_value(&parts->secret, SECRET_ENDPOINT);
	const char *base = buf_text(&parts->secret.values[SECRET_BASE_PATH]);
	size_t length;

	if (!endpoint) {
		(void)err_set(err, ERR_NOT_FOUND,
		              "neither --repository nor the secret %s names a registry",
		              parts->config->registry_secret_dir);
		return err_cause(err, ADVICE_NO_REPOSITORY);
	}
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

/* By a flag's text: a folder, or a reference. */
static int name_by_flag(const char *text, const char *flag, struct oci_settings *settings,
                        struct err *err)
{
	const char *layout = config_layout(text);

	if (!layout)
		return oci_reference_parse(text, &settings->reference, err)
		               ? err_context(err, "%s", flag)
		               : 0;
	settings->layout = strdup(layout);
	return settings->layout ? 0 : err_set_sys(err, ENOMEM, "registry settings");
}

/* ---- credentials ---- */

static int read_flag_file(const char *flag, const char *path, struct buf *text, struct err *err)
{
	if (!io_read_file(AT_FDCWD, path, text, err))
		return 0;
	/* Not found is for who waits for the secret; a flag names what has to be there. */
	if (err->kind == ERR_NOT_FOUND)
		err->kind = ERR_CONFIG;
	(void)err_cause(err, ADVICE_FILE_UNREADABLE);
	return err_context(err, "%s", flag);
}

static int read_flag_credentials(const struct config *config, struct oci_credentials *credentials,
                                 struct err *err)
{
	CLEANUP(buf_release) struct buf password = BUF_INIT(64 * 1024);
	int failed;

	if (config->registry_password_file
	            ? read_flag_file("--registry-password-file", config->registry_password_file,
	                             &password, err)
	            : buf_add(&password, config->registry_password,
	                      strlen(config->registry_password), err))
		return -1;
	trim(&password);
	failed = copy(config->registry_username, &credentials->username, err) ||
	         copy(buf_text(&password), &credentials->password, err);
	if (password.data)
		OPENSSL_cleanse(password.data, password.size);
	return failed ? -1 : 0;
}

/* No entry for this registry is no error: it may take anonymous clients. */
static int find_in_config(const struct parts *parts, const struct oci_reference *reference,
                          struct oci_credentials *credentials, struct err *err)
{
	struct err reason;

	if (!parts->docker_config.size)
		return 0;
	if (!oci_docker_config_find(buf_text(&parts->docker_config), parts->docker_config.size,
	                            parts->docker_config_name, reference, credentials, &reason))
		return 0;
	if (reason.kind == ERR_NOT_FOUND)
		return 0;
	*err = reason;
	return err_cause(err, err->kind == ERR_CONFIG ? (int)OCI_CAUSE_HELPER
	                                              : (int)ADVICE_DOCKER_CONFIG);
}

/* What flags and secret say without naming a host: for the repository's own one. */
static int find_credentials(const struct parts *parts, const struct oci_reference *reference,
                            struct oci_credentials *credentials, struct err *err)
{
	const struct secret *secret = &parts->secret;
	const char *username = secret_value(secret, SECRET_USERNAME);
	const char *password = secret_value(secret, SECRET_PASSWORD);
	const char *token = secret_value(secret, SECRET_TOKEN);

	if (parts->config->registry_username)
		return read_flag_credentials(parts->config, credentials, err);
	if (parts->config->registry_config)
		return find_in_config(parts, reference, credentials, err);
	if (username) {
		if (copy(username, &credentials->username, err))
			return -1;
		return copy(password ? password : token ? token : "", &credentials->password, err);
	}
	if (token)
		return copy(token, &credentials->registry_token, err);
	return find_in_config(parts, reference, credentials, err);
}

/* The platform's three kinds. */
static int aws_kind(const char *text, enum oci_aws_kind *out_kind, struct err *err)
{
	if (!text)
		return 0;
	if (!strcasecmp(text, "secret"))
		*out_kind = OCI_AWS_SECRET;
	else if (!strcasecmp(text, "sts"))
		*out_kind = OCI_AWS_STS;
	else if (!strcasecmp(text, "pod-identity"))
		*out_kind = OCI_AWS_POD_IDENTITY;
	else
		return err_set(err, ERR_CONFIG,
		               "the secret's credentialType is \"%.40s\", and may be secret, sts "
		               "or pod-identity",
		               text);
	return 0;
}

/* Whether flags say who asks: they win, whatever the secret says of AWS. */
static bool is_login_by_flags(const struct config *config,
                              const struct oci_credentials *credentials)
{
	return config->registry_username ||
	       (config->registry_config && (credentials->username || credentials->identity_token ||
	                                    credentials->registry_token));
}

static int find_aws(const struct parts *parts, const struct oci_credentials *credentials,
                    struct oci_aws *aws, struct err *err)
{
	const struct secret *secret = &parts->secret;
	const char *type = secret_value(secret, SECRET_CREDENTIAL_TYPE);
	const char *region = secret_value(secret, SECRET_REGION);
	const char *is_private = secret_value(secret, SECRET_IS_PRIVATE);

	aws->kind = secret_value(secret, SECRET_ACCESS_KEY) ? OCI_AWS_SECRET : OCI_AWS_CHAIN;
	aws->is_ecr = type && !is_login_by_flags(parts->config, credentials);
	aws->is_public = is_private && !is_true(is_private);
	if (aws_kind(type, &aws->kind, err) ||
	    copy(secret_value(secret, SECRET_ACCESS_KEY), &aws->access_key, err) ||
	    copy(secret_value(secret, SECRET_SECRET_KEY), &aws->secret_key, err) ||
	    copy(secret_value(secret, SECRET_SESSION_TOKEN), &aws->session_token, err) ||
	    copy(region ? region : secret_value(secret, SECRET_DEFAULT_REGION), &aws->region,
	         err) ||
	    copy(secret_value(secret, SECRET_ARN), &aws->role_arn, err) ||
	    copy(secret_value(secret, SECRET_EXTERNAL_ID), &aws->external_id, err))
		return -1;
	if (aws->kind == OCI_AWS_SECRET && (!aws->access_key || !aws->secret_key))
		return err_set(err, ERR_CONFIG, "the secret has not both accessKey and secretKey");
	if (aws->kind == OCI_AWS_STS && !aws->role_arn)
		return err_set(err, ERR_CONFIG,
		               "the secret's credentialType is sts, but it has no "
		               "arn of the role to take");
	return 0;
}

/* ---- trust ---- */

/* PEM, or base64 of PEM. */
static int decode_pem(const char *value, const char *what, const char **out_pem, struct err *err)
{
	CLEANUP(buf_release) struct buf packed = BUF_INIT(SECRET_MAX_BYTES);
	CLEANUP(cleanup_free) char *pem = NULL;
	int size;

	if (strstr(value, "-----BEGIN")) {
		*out_pem = strdup(value);
		return *out_pem ? 0 : err_set_sys(err, ENOMEM, "%s", what);
	}
	for (const char *at = value; *at; at++)
		if (!isspace((unsigned char)*at) && buf_add(&packed, at, 1, err))
			return -1;
	pem = calloc(1, packed.size + 1);
	if (!pem)
		return err_set_sys(err, ENOMEM, "%s", what);
	size = EVP_DecodeBlock((unsigned char *)pem, (const unsigned char *)buf_text(&packed),
	                       (int)packed.size);
	if (packed.data)
		OPENSSL_cleanse(packed.data, packed.size);
	if (size <= 0 || !strstr(pem, "-----BEGIN"))
		return err_set(err, ERR_CONFIG, "the secret's %s is neither PEM nor base64 of PEM",
		               what);
	*out_pem = STEAL(pem);
	return 0;
}

/* From a flag's file, else from the secret. */
static int find_pem(const struct parts *parts, const char *file, const char *flag,
                    enum secret_key key, const char *what, const char **out_pem, struct err *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(SECRET_MAX_BYTES);
	const char *value = secret_value(&parts->secret, key);

	if (!file)
		return value ? decode_pem(value, what, out_pem, err) : 0;
	if (read_flag_file(flag, file, &text, err))
		return -1;
	*out_pem = buf_steal(&text);
	return *out_pem ? 0 : err_set(err, ERR_CONFIG, "%s: %s is empty", flag, file);
}

static int find_trust(const struct parts *parts, struct oci_settings *settings, struct err *err)
{
	const struct config *config = parts->config;

	return find_pem(parts, config->registry_ca, "--registry-ca", SECRET_CA, "caCert",
	                &settings->ca_pem, err) ||
	                       find_pem(parts, config->registry_cert, "--registry-cert",
	                                SECRET_CLIENT_CERT, "clientCert", &settings->cert_pem,
	                                err) ||
	                       find_pem(parts, config->registry_key, "--registry-key",
	                                SECRET_CLIENT_KEY, "clientKey", &settings->key_pem, err)
	               ? -1
	               : 0;
}

/* ---- sources ---- */

static void source_release(struct oci_settings *source)
{
	oci_credentials_release(&source->credentials);
	oci_aws_release(&source->aws);
	if (source->key_pem)
		OPENSSL_cleanse((void *)(uintptr_t)source->key_pem, strlen(source->key_pem));
	free((void *)(uintptr_t)source->layout);
	free((void *)(uintptr_t)source->ca_pem);
	free((void *)(uintptr_t)source->cert_pem);
	free((void *)(uintptr_t)source->key_pem);
	*source = (struct oci_settings){ .layout = NULL };
}

void registry_release(struct registry *registry)
{
	for (size_t i = 0; i < registry->count; i++)
		source_release(&registry->sources[i]);
	free(registry->sources);
	*registry = (struct registry){ .sources = NULL };
}

/* One more place in the list, with what all have in common. */
static struct oci_settings *add_source(struct registry *registry, const struct parts *parts,
                                       struct err *err)
{
	struct oci_settings *more = realloc(registry->sources,
	                                    (registry->count + 1) * sizeof(*more));

	if (!more) {
		(void)err_set_sys(err, ENOMEM, "registry settings");
		return NULL;
	}
	registry->sources = more;
	more += registry->count++;
	*more = (struct oci_settings){
		.plain_http = parts->config->plain_http,
		.environment = getenv,
		.idle_s = (int)((parts->config->registry_idle_ms + 999) / 1000),
		.user_agent = "specman/" SPECMAN_VERSION,
	};
	return more;
}

static int add_repository(struct registry *registry, const struct parts *parts, struct err *err)
{
	struct oci_settings *source = add_source(registry, parts, err);
	const char *repository = parts->config->repository;

	if (!source)
		return -1;
	source->insecure = parts->config->registry_insecure ||
	                   is_true(secret_value(&parts->secret, SECRET_INSECURE));
	if (repository ? name_by_flag(repository, "--repository", source, err)
	               : name_by_secret(parts, &source->reference, err))
		return -1;
	if (source->layout)
		return 0;
	return find_credentials(parts, &source->reference, &source->credentials, err) ||
	                       find_aws(parts, &source->credentials, &source->aws, err) ||
	                       find_trust(parts, source, err)
	               ? -1
	               : 0;
}

/* Credentials that name no host go to the repository's host alone. */
static int add_mirror(struct registry *registry, const struct parts *parts, const char *text,
                      const char *what, struct err *err)
{
	struct oci_settings *source = add_source(registry, parts, err);
	bool same_host;

	if (!source || name_by_flag(text, what, source, err))
		return -1;
	if (source->layout)
		return 0;
	same_host = !strcmp(source->reference.host, registry->sources[0].reference.host);
	source->insecure = same_host && registry->sources[0].insecure;
	if (same_host ? find_credentials(parts, &source->reference, &source->credentials, err)
	              : find_in_config(parts, &source->reference, &source->credentials, err))
		return -1;
	if (find_aws(parts, &source->credentials, &source->aws, err) ||
	    find_trust(parts, source, err))
		return -1;
	source->aws.is_ecr = same_host && source->aws.is_ecr;
	return 0;
}

/*
 * One of mirrorRegistries, "src::dest": what begins with src is also below
 * dest. One for another source is none of ours.
 */
static int add_mapped_mirror(struct registry *registry, const struct parts *parts,
                             const char *mapping, struct err *err)
{
	const struct oci_reference *origin = &registry->sources[0].reference;
	const char *dest = strstr(mapping, "::");
	CLEANUP(buf_release) struct buf full = BUF_INIT(4096);
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
	size_t src, host;

	if (!dest || !*(dest += 2))
		return err_set(
			err, ERR_CONFIG,
			"the secret's mirrorRegistries has \"%.80s\", which is not src::dest",
			strchr(mapping, '@') ? "(not shown: it has an @)" : mapping);
	src = (size_t)(dest - mapping) - 2;
	while (src && mapping[src - 1] == '/')
		src--;
	if (buf_addf(&full, err, "%s/%s", origin->host, origin->name))
		return -1;
	if (registry->sources[0].layout || strncasecmp(mapping, full.data, src) ||
	    (full.data[src] && full.data[src] != '/'))
		return 0;
	if (!strncasecmp(dest, "https://", 8))
		dest += 8;
	host = strcspn(dest, "/");
	if (buf_add(&text, dest, host, err))
		return -1;
	dest += host;
	/* As in a container runtime's list of mirrors, where the API's own path is written, too. */
	if (!strncmp(dest, "/v2", 3) && (!dest[3] || dest[3] == '/'))
		dest += 3;
	if (buf_add(&text, dest, strlen(dest), err))
		return -1;
	while (text.size && text.data[text.size - 1] == '/')
		text.data[--text.size] = '\0';
	if (buf_addf(&text, err, "%s", full.data + src))
		return -1;
	return add_mirror(registry, parts, text.data, "the secret's mirrorRegistries", err);
}

static int add_mirrors(struct registry *registry, const struct parts *parts, struct err *err)
{
	const struct config_texts *flags = &parts->config->repository_mirror;
	const char *mappings = secret_value(&parts->secret, SECRET_MIRRORS);
	CLEANUP(cleanup_free) char *list = NULL;
	char *rest = NULL;

	for (size_t i = 0; i < flags->count; i++)
		if (add_mirror(registry, parts, flags->at[i], "--repository-mirror", err))
			return -1;
	if (!mappings)
		return 0;
	if (copy(mappings, &list, err))
		return -1;
	for (char *one = strtok_r(list, ", \t\r\n", &rest); one;
	     one = strtok_r(NULL, ", \t\r\n", &rest)) {
		if (registry->count > CONFIG_TEXTS_MAX)
			return err_set(err, ERR_CONFIG, "more than %d mirrors", CONFIG_TEXTS_MAX);
		if (add_mapped_mirror(registry, parts, one, err))
			return -1;
	}
	return 0;
}

static int read_parts(const struct config *config, struct parts *parts, struct err *err)
{
	const struct buf *value = &parts->secret.values[SECRET_DOCKER_CONFIG];

	parts->config = config;
	parts->docker_config = (struct buf)BUF_INIT(SECRET_MAX_BYTES);
	if (config->registry_secret_dir &&
	    secret_read(config->registry_secret_dir, &parts->secret, err))
		return err_cause(err, ADVICE_SECRET_UNREADABLE);
	if (config->registry_config) {
		parts->docker_config_name = config->registry_config;
		return read_flag_file("--registry-config", config->registry_config,
		                      &parts->docker_config, err);
	}
	parts->docker_config_name = ".dockerconfigjson";
	return value->size ? buf_add(&parts->docker_config, value->data, value->size, err) : 0;
}

int registry_load(const struct config *config, struct registry *out_registry, struct err *err)
{
	CLEANUP(parts_release) struct parts parts = { .config = NULL };
	CLEANUP(registry_release) struct registry registry = { .sources = NULL };

	if (read_parts(config, &parts, err) || add_repository(&registry, &parts, err) ||
	    add_mirrors(&registry, &parts, err))
		return err->cause || err->kind != ERR_CONFIG
		               ? -1
		               : err_cause(err, ADVICE_SECRET_VALUE); /* flags were checked */
	*out_registry = registry;
	registry = (struct registry){ .sources = NULL };
	return 0;
}

uint64_t registry_fingerprint(const struct config *config)
{
	const char *files[] = { config->registry_config, config->registry_password_file,
		                config->registry_ca, config->registry_cert, config->registry_key };
	uint64_t hash = IO_FINGERPRINT_START;
	struct stat st;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (files[i] && !stat(files[i], &st))
			hash = io_fingerprint(hash, &st);
	return hash ^ secret_fingerprint(config->registry_secret_dir);
}
