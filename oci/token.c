/* Token servers; see token.h. */
#include "oci/token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "oci/form.h"
#include "oci/json.h"
#include "oci/limits.h"
#include "oci/oci.h"

static int check_realm(const char *realm, const struct place *registry, struct err *err)
{
	struct place place;

	if (url_place(realm, &place, err))
		return err_context(err, "token server's address (realm)");
	if (!place.secure && registry->secure)
		return err_set(err, ERR_FORMAT,
		               "token server (realm) %s is refused: it is http, the registry https",
		               place.host);
	if (strcmp(place.host, registry->host) && place_is_internal(&place))
		return err_set(
			err, ERR_FORMAT,
			"token server (realm) %s is refused: an internal address that isn't the "
			"registry's own",
			place.host);
	return 0;
}

int token_check_realm(const char *realm, const struct place *registry, struct err *err)
{
	return check_realm(realm, registry, err) ? err_cause(err, OCI_CAUSE_REALM_REFUSED) : 0;
}

/* Append name=value to *url, which is replaced. */
static int append(char **url, const char *name, const char *value, struct err *err)
{
	char *longer = url_append(*url, name, value, err);

	if (!longer)
		return -1;
	free(*url);
	*url = longer;
	return 0;
}

char *token_url(const struct challenge *challenge, struct err *err)
{
	CLEANUP(cleanup_free) char *url = strdup(challenge->realm);
	CLEANUP(cleanup_free) char *scopes = strdup(challenge->scope);
	char *rest = NULL;

	if (!url || !scopes) {
		(void)err_set_sys(err, ENOMEM, "token request");
		return NULL;
	}
	if (challenge->service[0] && append(&url, "service", challenge->service, err))
		return NULL;
	/* RFC 6749, section 3.3: a scope is a list; docker's servers want one parameter each. */
	for (char *scope = strtok_r(scopes, " ", &rest); scope;
	     scope = strtok_r(NULL, " ", &rest)) {
		if (append(&url, "scope", scope, err))
			return NULL;
	}
	return STEAL(url);
}

char *token_form(const struct challenge *challenge, const char *refresh_token, struct err *err)
{
	CLEANUP(buf_release) struct buf form = BUF_INIT(LIMIT_TOKEN_BYTES);
	char *text;

	if (form_add(&form, "grant_type", "refresh_token", err) ||
	    form_add(&form, "client_id", "specman", err) ||
	    form_add(&form, "service", challenge->service, err) ||
	    (challenge->scope[0] && form_add(&form, "scope", challenge->scope, err)) ||
	    form_add(&form, "refresh_token", refresh_token, err)) {
		(void)err_context(err, "token request");
		return NULL;
	}
	text = buf_steal(&form);
	if (!text)
		(void)err_set_sys(err, ENOMEM, "token request");
	return text;
}

static bool is_printable(const char *token)
{
	for (; *token; token++) {
		if (*token <= ' ' || *token > '~')
			return false;
	}
	return true;
}

static int64_t seconds_of(const json_t *expires_in)
{
	double seconds = json_number_value(expires_in); /* 0 for what is no number */

	if (!(seconds >= 1))
		return TOKEN_DEFAULT_S;
	return seconds > LIMIT_TOKEN_S ? LIMIT_TOKEN_S : (int64_t)seconds;
}

int token_read(const char *body, size_t size, char **out_token, int64_t *out_seconds,
               struct err *err)
{
	json_auto_t *root = json_bounded(body, size, err);
	const char *text = json_text_at(root, "token");
	char *token;

	if (!root)
		return -1;
	if (!text || !*text)
		text = json_text_at(root, "access_token");
	if (!text || !*text)
		return err_set(err, ERR_AUTH, "the answer has no token");
	if (!is_printable(text)) /* RFC 6750, section 2.1 */
		return err_set(err, ERR_FORMAT, "the token has characters it may not have");
	token = strdup(text);
	if (!token)
		return err_set_sys(err, ENOMEM, "token");
	*out_token = token;
	*out_seconds = seconds_of(json_object_get(root, "expires_in"));
	return 0;
}
