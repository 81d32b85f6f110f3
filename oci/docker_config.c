/*
 * Credentials from a docker config.json (see oci.h). The keys of "auths" were
 * written by many tools over many years; what counts of one is host, port and
 * path.
 */
#include "oci/oci.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "oci/json.h"
#include "oci/limits.h"
#include "oci/wipe.h"

void oci_credentials_release(struct oci_credentials *credentials)
{
	wipe_text(&credentials->username);
	wipe_text(&credentials->password);
	wipe_text(&credentials->identity_token);
	wipe_text(&credentials->registry_token);
}

void oci_aws_release(struct oci_aws *aws)
{
	wipe_text(&aws->access_key);
	wipe_text(&aws->secret_key);
	wipe_text(&aws->session_token);
	wipe_text(&aws->region);
	wipe_text(&aws->role_arn);
	wipe_text(&aws->external_id);
}

/*
 * How well a key of "auths" fits: 0 not at all, else one more than the length of
 * its path. "https://host/v1/" is an API's address, not a path of names.
 */
static size_t match(const char *key, const struct oci_reference *reference)
{
	size_t host, path;

	if (!strncasecmp(key, "https://", 8))
		key += 8;
	else if (!strncasecmp(key, "http://", 7))
		key += 7;
	host = strcspn(key, "/");
	if (host != strlen(reference->host) || strncasecmp(key, reference->host, host))
		return 0;
	key += host;
	key += strspn(key, "/");
	path = strlen(key);
	while (path && key[path - 1] == '/')
		path--;
	if (!path || (path == 2 && (!strncmp(key, "v1", 2) || !strncmp(key, "v2", 2))))
		return 1;
	if (strncmp(reference->name, key, path) ||
	    (reference->name[path] && reference->name[path] != '/'))
		return 0;
	return 1 + path;
}

static int base64_value(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";
	const char *place = c ? strchr(alphabet, c) : NULL;

	return place ? (int)(place - alphabet) : -1;
}

/* RFC 4648, section 4; padding may be missing. A heap string, or NULL: not base64, or no text. */
static char *decode(const char *text)
{
	size_t size = strlen(text);
	unsigned bits = 0;
	size_t used = 0;
	char *out = malloc(size + 1);

	while (size && text[size - 1] == '=')
		size--;
	if (!out)
		return NULL;
	for (size_t i = 0; i < size; i++) {
		int value = base64_value(text[i]);

		if (value < 0 || size % 4 == 1) {
			explicit_bzero(out, used);
			free(out);
			return NULL;
		}
		bits = (bits << 6 | (unsigned)value) & 0xfffff;
		if (i % 4)
			out[used++] = (char)(bits >> (6 - 2 * (i % 4)) & 0xff);
	}
	while (used && !out[used - 1]) /* docker pads with NUL, and cuts it off again */
		used--;
	out[used] = '\0';
	if (memchr(out, '\0', used))
		wipe_text(&out);
	return out;
}

static int copy(const char *text, char **out, struct err *err)
{
	if (!text || !*text)
		return 0;
	*out = strdup(text);
	return *out ? 0 : err_set_sys(err, ENOMEM, "credentials");
}

static int read_auth(const char *auth, struct oci_credentials *out, struct err *err)
{
	CLEANUP(wipe_text) char *pair = decode(auth);
	char *colon = pair ? strchr(pair, ':') : NULL;

	if (!colon)
		return err_set(err, ERR_FORMAT, "its auth is not base64 of \"user:password\"");
	*colon = '\0';
	return copy(pair, &out->username, err) || copy(colon + 1, &out->password, err) ? -1 : 0;
}

static int read_entry(const json_t *entry, struct oci_credentials *out, struct err *err)
{
	const char *auth = json_text_at(entry, "auth");
	const char *username = json_text_at(entry, "username");

	if (copy(json_text_at(entry, "identitytoken"), &out->identity_token, err) ||
	    copy(json_text_at(entry, "registrytoken"), &out->registry_token, err))
		return -1;
	if (auth && *auth)
		return read_auth(auth, out, err);
	/* RFC 7617, section 2: Basic can't carry it. */
	if (username && strchr(username, ':'))
		return err_set(err, ERR_FORMAT, "its username has a colon");
	if (copy(username, &out->username, err) ||
	    copy(json_text_at(entry, "password"), &out->password, err))
		return -1;
	return 0;
}

static bool is_empty(const struct oci_credentials *c)
{
	return !c->username && !c->identity_token && !c->registry_token;
}

static const json_t *best_entry(const json_t *root, const struct oci_reference *reference,
                                const char **out_key)
{
	const json_t *best = NULL;
	const json_t *entry;
	const char *key;
	size_t longest = 0;

	/* jansson's macro wants a json_t that it may change; nothing is changed here. */
	json_object_foreach((json_t *)(uintptr_t)json_object_get(root, "auths"), key, entry)
	{
		size_t length = match(key, reference);

		if (length <= longest)
			continue;
		longest = length;
		best = entry;
		*out_key = key;
	}
	return best;
}

static int refuse_helper(const json_t *root, const struct oci_reference *reference, struct err *err)
{
	const json_t *helper;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)json_object_get(root, "credHelpers"), key, helper)
	{
		if (match(key, reference)) {
			(void)err_set(err, ERR_CONFIG,
			              "%s is left to the credential helper \"%.60s\", which can't "
			              "be run here: put its credentials under \"auths\"",
			              reference->host,
			              json_is_string(helper) ? json_string_value(helper) : "?");
			return err_cause(err, OCI_CAUSE_HELPER);
		}
	}
	return 0;
}

static int find(const json_t *root, const struct oci_reference *reference,
                struct oci_credentials *out, struct err *err)
{
	const char *store = json_text_at(root, "credsStore");
	const char *key = "";
	const json_t *entry;

	if (refuse_helper(root, reference, err))
		return -1;
	entry = best_entry(root, reference, &key);
	if (entry && !json_is_object(entry))
		return err_set(err, ERR_FORMAT, "entry \"%.100s\" is no object", key);
	if (entry && read_entry(entry, out, err))
		return err_context(err, "entry \"%.100s\"", key);
	if (!is_empty(out))
		return 0;
	if (store && *store) {
		(void)err_set(err, ERR_CONFIG,
		              "the credentials are left to the credential store \"%.60s\", which "
		              "can't be asked here: put them under \"auths\"",
		              store);
		return err_cause(err, OCI_CAUSE_HELPER);
	}
	return err_set(err, ERR_NOT_FOUND, "no credentials for %s/%s", reference->host,
	               reference->name);
}

int oci_docker_config_find(const char *text, size_t size, const char *what,
                           const struct oci_reference *reference,
                           struct oci_credentials *out_credentials, struct err *err)
{
	CLEANUP(oci_credentials_release) struct oci_credentials found = { .username = NULL };
	json_auto_t *root = NULL;

	if (size > LIMIT_CONFIG_BYTES)
		return err_set(err, ERR_FORMAT, "%s: larger than %d bytes", what,
		               LIMIT_CONFIG_BYTES);
	root = json_bounded(text, size, err);
	if (!root) {
		err->kind = ERR_FORMAT;
		return err_context(err, "%s", what);
	}
	if (!json_is_object(root))
		return err_set(err, ERR_FORMAT, "%s: it is JSON, but no docker config", what);
	if (find(root, reference, &found, err))
		return err_context(err, "%s", what);
	*out_credentials = found;
	found = (struct oci_credentials){ .username = NULL };
	return 0;
}
