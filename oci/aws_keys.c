/* Keys; see aws_keys.h. */
#include "oci/aws_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/aws_time.h"
#include "oci/json.h"
#include "oci/limits.h"
#include "oci/wipe.h"

void aws_keys_release(struct aws_keys *keys)
{
	wipe_text(&keys->access_key);
	wipe_text(&keys->secret_key);
	wipe_text(&keys->session_token);
	keys->source = NULL;
	keys->life_s = 0;
}

static int copy(const char *text, const char *what, const char *source, char **out, struct err *err)
{
	if (!text || !*text)
		return err_set(err, ERR_CONFIG, "%s: there is no %s", source, what);
	if (strlen(text) > LIMIT_AWS_KEY_BYTES)
		return err_set(err, ERR_CONFIG, "%s: the %s is longer than %d bytes", source, what,
		               LIMIT_AWS_KEY_BYTES);
	for (const char *c = text; *c; c++) {
		if (*c <= ' ' || *c > '~')
			return err_set(err, ERR_CONFIG, "%s: the %s has characters it may not have",
			               source, what);
	}
	*out = strdup(text);
	return *out ? 0 : err_set_sys(err, ENOMEM, "AWS credentials");
}

int aws_keys_set(const char *access_key, const char *secret_key, const char *session_token,
                 const char *source, struct aws_keys *out_keys, struct err *err)
{
	CLEANUP(aws_keys_release) struct aws_keys keys = AWS_KEYS_NONE;

	if (copy(access_key, "access key", source, &keys.access_key, err) ||
	    copy(secret_key, "secret key", source, &keys.secret_key, err))
		return -1;
	if (session_token && *session_token &&
	    copy(session_token, "session token", source, &keys.session_token, err))
		return -1;
	keys.source = source;
	*out_keys = keys;
	keys = (struct aws_keys)AWS_KEYS_NONE;
	return 0;
}

int aws_keys_read(const struct exchange *exchange, const char *source, struct aws_keys *out_keys,
                  struct err *err)
{
	CLEANUP(aws_keys_release) struct aws_keys keys = AWS_KEYS_NONE;
	json_auto_t *root = json_bounded(buf_text(&exchange->body), exchange->body.size, err);
	const char *expiration = json_text_at(root, "Expiration");
	int64_t end_s = 0;

	if (!root)
		return err_context(err, "%s", source);
	if (aws_keys_set(json_text_at(root, "AccessKeyId"), json_text_at(root, "SecretAccessKey"),
	                 json_text_at(root, "Token"), source, &keys, err)) {
		err->kind = ERR_FORMAT;
		return -1;
	}
	if (expiration) {
		if (aws_time_parse(expiration, &end_s, err))
			return err_context(err, "%s: Expiration", source);
		keys.life_s = aws_time_life(exchange, end_s);
		keys.life_s = keys.life_s ? keys.life_s : 1;
	}
	*out_keys = keys;
	keys = (struct aws_keys)AWS_KEYS_NONE;
	return 0;
}

void aws_exchange_release(struct exchange *exchange)
{
	wipe_buf(&exchange->body);
	exchange_release(exchange);
}
