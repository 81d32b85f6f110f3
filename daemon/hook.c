/* Webhooks; see hook.h. */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <microhttpd.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "advice.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "hook_body.h"
#include "log.h"

enum { TOKEN_LEAST = 16, TOKEN_MOST = 4096, HASH_BYTES = 32 };

struct hook {
	const struct config *config;
	struct recurring *troubles;
	pthread_mutex_t mutex;
	struct poller *poller; /* NULL before it starts and once it ends */
};

/* ---- the token ---- */

/* Of equal length whatever the text is, so that comparing it says nothing of either. */
static int hash(const char *text, size_t size, unsigned char out_hash[static HASH_BYTES],
                struct err *err)
{
	unsigned length = 0;

	if (EVP_Digest(text, size, out_hash, &length, EVP_sha256(), NULL))
		return 0;
	return err_set(err, ERR_IO, "SHA-256 of a token");
}

/* The hash of what the file has, without the line's end. */
static int read_token(const char *path, unsigned char out_hash[static HASH_BYTES], struct err *err)
{
	struct buf text = BUF_INIT(TOKEN_MOST);
	int failed = io_read_file(AT_FDCWD, path, &text, err);

	if (failed)
		(void)err_cause(err, ADVICE_FILE_UNREADABLE);
	while (text.size && strchr("\r\n", text.data[text.size - 1]))
		text.size--;
	if (!failed && text.size < TOKEN_LEAST) {
		failed = err_set(err, ERR_CONFIG, "%s: a token has %d bytes at least", path,
		                 TOKEN_LEAST);
		(void)err_cause(err, ADVICE_HOOK_TOKEN);
	}
	if (!failed)
		failed = hash(text.data, text.size, out_hash, err);
	if (text.data)
		OPENSSL_cleanse(text.data, text.room);
	buf_release(&text);
	return failed ? err_context(err, "--hook-token-file") : 0;
}

int hook_check_token(const char *path, struct err *err)
{
	unsigned char unneeded[HASH_BYTES];

	return read_token(path, unneeded, err);
}

/* "Bearer TOKEN" (RFC 6750), or the token alone: senders differ in what they can be told. */
static bool is_right(const char *shown, const unsigned char wanted[static HASH_BYTES])
{
	static const char scheme[] = "Bearer ";
	unsigned char found[HASH_BYTES];
	struct err err;

	if (!strncasecmp(shown, scheme, sizeof(scheme) - 1))
		shown += sizeof(scheme) - 1;
	return !hash(shown, strlen(shown), found, &err) &&
	       !CRYPTO_memcmp(found, wanted, HASH_BYTES);
}

/* ---- answers ---- */

static void say(struct admin_answer *answer, unsigned status, const char *text)
{
	struct err err;

	answer->status = status;
	if (buf_addf(&answer->body, &err, "%s\n", text))
		answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
}

/* Whether who asks may; else the answer says why not. */
static bool may_ask(struct hook *hook, const struct admin_request *request,
                    struct admin_answer *answer)
{
	static const char unread[] = "hook's token file";
	const char *shown = admin_header(request, "Authorization");
	unsigned char wanted[HASH_BYTES];
	struct err err;

	if (read_token(hook->config->hook_token_file, wanted, &err)) {
		if (recurring_happened(hook->troubles, unread, err.msg, clock_now_ms()))
			log_line(LOG_ERROR, "Hook not taken",
			         (struct log_field[]){ { "error", err.msg }, { NULL, NULL } });
		say(answer, MHD_HTTP_INTERNAL_SERVER_ERROR, "the token can't be read: see the log");
		return false;
	}
	(void)recurring_over(hook->troubles, unread);
	if (shown && is_right(shown, wanted))
		return true;
	/* Thinned whatever comes between. Not what was shown: it may be a token of somewhere else.
	 */
	if (recurring_happened(hook->troubles, "hook refused", "", clock_now_ms()))
		log_line(LOG_WARNING, "Hook refused",
		         (struct log_field[]){ { "reason", shown ? "wrong token" : "no token" },
		                               { NULL, NULL } });
	answer->challenge = "Bearer realm=\"specman\"";
	say(answer, MHD_HTTP_UNAUTHORIZED, "Authorization: Bearer TOKEN is needed");
	return false;
}

static void tell(const struct hook_news *news, const char *msg, bool is_first)
{
	struct log_field fields[4] = { { NULL, NULL } };
	size_t n = 0;

	if (*news->sender)
		fields[n++] = (struct log_field){ "sender", news->sender };
	if (*news->repository)
		fields[n++] = (struct log_field){ "repository", news->repository };
	if (*news->tag)
		fields[n++] = (struct log_field){ "tag", news->tag };
	/* Of those that lead to one round together, one line is enough. */
	log_line(is_first ? LOG_INFO : LOG_DEBUG, msg, fields);
}

/* False when there is nobody to be told. */
static bool pass_on(struct hook *hook, bool *out_is_first)
{
	bool is_there;

	(void)pthread_mutex_lock(&hook->mutex);
	is_there = hook->poller != NULL;
	if (is_there)
		*out_is_first = poller_hint(hook->poller);
	(void)pthread_mutex_unlock(&hook->mutex);
	return is_there;
}

void hook_answer(void *ctx, const struct admin_request *request, struct admin_answer *answer)
{
	struct hook *hook = ctx;
	struct hook_news news;
	bool is_first = false;

	if (!hook->config->hook_token_file) {
		say(answer, MHD_HTTP_NOT_FOUND,
		    "hooks are off: --hook-token-file FILE turns them on");
		return;
	}
	if (!may_ask(hook, request, answer))
		return;
	answer->type = "application/json";
	hook_body_read(request->body, request->body_size, &news);
	if (news.is_only_pulls) {
		tell(&news, "Hook tells of pulls alone", false);
		say(answer, MHD_HTTP_OK,
		    "{\"accepted\":false,\"reason\":\"it tells of pulls alone\"}");
		return;
	}
	if (!pass_on(hook, &is_first)) {
		say(answer, MHD_HTTP_SERVICE_UNAVAILABLE,
		    "{\"accepted\":false,\"reason\":\"it starts or stops\"}");
		return;
	}
	tell(&news, "Hook asks to sync", is_first);
	say(answer, MHD_HTTP_ACCEPTED, "{\"accepted\":true}");
}

/* ---- life ---- */

struct hook *hook_new(const struct config *config, struct recurring *troubles, struct err *err)
{
	struct hook *hook;

	if (config->hook_token_file && hook_check_token(config->hook_token_file, err))
		return NULL;
	hook = calloc(1, sizeof(*hook));
	if (!hook) {
		(void)err_set_sys(err, ENOMEM, "hook");
		return NULL;
	}
	hook->config = config;
	hook->troubles = troubles;
	(void)pthread_mutex_init(&hook->mutex, NULL);
	return hook;
}

void hook_free(struct hook *hook)
{
	if (!hook)
		return;
	(void)pthread_mutex_destroy(&hook->mutex);
	free(hook);
}

void hook_attach(struct hook *hook, struct poller *poller)
{
	if (!hook)
		return;
	(void)pthread_mutex_lock(&hook->mutex);
	hook->poller = poller;
	(void)pthread_mutex_unlock(&hook->mutex);
}
