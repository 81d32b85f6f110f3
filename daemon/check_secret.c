/* The mounted secret; see check_steps.h. Values are shown only where they are no secret. */
#include "check_steps.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "advice.h"
#include "base/cleanup.h"
#include "secret.h"

static const char step[] = "secret";

/* What a flag that is given puts in the place of a key. */
static const char *overriding_flag(const struct config *config, enum secret_key key)
{
	switch (key) {
	case SECRET_ENDPOINT:
	case SECRET_BASE_PATH:
		return config->repository ? "--repository" : NULL;
	case SECRET_USERNAME:
	case SECRET_PASSWORD:
	case SECRET_TOKEN:
	case SECRET_CREDENTIAL_TYPE:
	case SECRET_ACCESS_KEY:
	case SECRET_SECRET_KEY:
	case SECRET_SESSION_TOKEN:
		if (config->registry_username)
			return "--registry-username";
		return config->registry_config ? "--registry-config" : NULL;
	case SECRET_DOCKER_CONFIG:
		return config->registry_config ? "--registry-config" : NULL;
	case SECRET_CA:
		return config->registry_ca ? "--registry-ca" : NULL;
	case SECRET_CLIENT_CERT:
		return config->registry_cert ? "--registry-cert" : NULL;
	case SECRET_CLIENT_KEY:
		return config->registry_key ? "--registry-key" : NULL;
	default:
		return NULL;
	}
}

/* A URL may have a password before its @. */
static bool may_be_shown(enum secret_key key, const char *value)
{
	static const enum secret_key plain[] = {
		SECRET_ENDPOINT,   SECRET_BASE_PATH, SECRET_USERNAME,
		SECRET_INSECURE,   SECRET_MIRRORS,   SECRET_CREDENTIAL_TYPE,
		SECRET_IS_PRIVATE, SECRET_REGION,    SECRET_DEFAULT_REGION,
		SECRET_ARN,
	};

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (plain[i] == key)
			return key == SECRET_USERNAME || !strchr(value, '@');
	return false;
}

static void print_value(const struct check *check, const struct secret *secret, enum secret_key key)
{
	const char *value = secret_value(secret, key);
	const char *flag = overriding_flag(check->config, key);
	const char *but = flag ? ", but what counts is " : "";

	if (!value)
		return;
	if (may_be_shown(key, value))
		report_detail("%s %s  [secret%s%s]", secret_spelling(key), value, but,
		              flag ? flag : "");
	else
		report_detail("%s ******** (%zu bytes)  [secret%s%s]", secret_spelling(key),
		              strlen(value), but, flag ? flag : "");
}

static unsigned count_values(const struct secret *secret)
{
	unsigned count = 0;

	for (unsigned key = 0; key < SECRET_KEY_COUNT; key++)
		count += secret_value(secret, (enum secret_key)key) != NULL;
	return count;
}

static void check_keys(struct check *check, const struct secret *secret)
{
	const char *dir = check->config->registry_secret_dir;
	CLEANUP(buf_release) struct buf unknown = BUF_INIT(4096);
	char key[NAME_MAX + 1];
	struct err err;

	report_ok(check, step, "%s has %u keys that are understood", dir, count_values(secret));
	for (unsigned i = 0; i < SECRET_KEY_COUNT; i++)
		print_value(check, secret, (enum secret_key)i);
	if (!secret_unknown_keys(dir, &unknown, &err) && unknown.size)
		report_warning(check, step, ADVICE_SECRET_KEY_UNKNOWN,
		               "keys that are not understood: %s", unknown.data);
	if (secret_is_frozen(dir, key))
		report_warning(check, step, ADVICE_SECRET_SUBPATH,
		               "%s/%s is a mount of its own, as subPath makes it: a change of the "
		               "secret never arrives",
		               dir, key);
}

void check_secret(struct check *check)
{
	const char *dir = check->config->registry_secret_dir;
	CLEANUP(secret_release) struct secret secret = { .values = { { .data = NULL } } };
	struct err err;

	if (access(dir, F_OK) && errno == ENOENT) {
		report_ok(check, step, "%s is not there, and may be absent", dir);
		return;
	}
	if (secret_read(dir, &secret, &err)) {
		(void)err_cause(&err, ADVICE_SECRET_UNREADABLE);
		report_failure(check, step, &err);
		return;
	}
	check_keys(check, &secret);
}
