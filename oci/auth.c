/* Authentication; see auth.h. */
#include "oci/auth.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "oci/answer.h"
#include "oci/aws_error.h"
#include "oci/ecr.h"
#include "oci/limits.h"
#include "oci/retry.h"
#include "oci/token.h"
#include "oci/url.h"
#include "oci/wipe.h"

struct auth {
	struct oci_credentials credentials;
	struct transport *transport;
	struct place registry;
	struct ecr *ecr;            /* NULL: the registry is not Amazon's */
	char *scope;                /* for a challenge that names none */
	char *header;               /* the cached value, or NULL */
	bool is_token;              /* header is a Bearer that a token server gave, or ECR's */
	bool powerless;             /* the last token was refused at once */
	int64_t renew_ms;           /* of a token: when to get another */
	int64_t end_ms;             /* of a token: when it is worth nothing any more */
	int64_t not_before_ms;      /* a token server's Retry-After */
	struct challenge challenge; /* that the token answers */
};

DEFINE_CLEANUP(cleanup_auth, struct auth, auth_free);

static int copy(const char *text, char **out, struct err *err)
{
	if (!text)
		return 0;
	*out = strdup(text);
	return *out ? 0 : err_set_sys(err, ENOMEM, "credentials");
}

static int copy_credentials(const struct oci_credentials *from, struct oci_credentials *to,
                            struct err *err)
{
	if (from->username && strchr(from->username, ':')) /* RFC 7617, section 2 */
		return err_set(err, ERR_CONFIG, "the username has a colon");
	if (copy(from->username, &to->username, err) || copy(from->password, &to->password, err) ||
	    copy(from->identity_token, &to->identity_token, err) ||
	    copy(from->registry_token, &to->registry_token, err))
		return -1;
	return 0;
}

/* Set the header; text is wiped. */
static int set_header(struct auth *auth, const char *scheme, char *text, struct err *err)
{
	char *header = NULL;
	int size = asprintf(&header, "%s %s", scheme, text);

	explicit_bzero(text, strlen(text));
	if (size < 0)
		return err_set_sys(err, ENOMEM, "credentials");
	wipe_text(&auth->header);
	auth->header = header;
	auth->is_token = false;
	return 0;
}

static int use_registry_token(struct auth *auth, struct err *err)
{
	CLEANUP(wipe_text) char *token = NULL;

	if (!auth->credentials.registry_token)
		return 0;
	for (const char *c = auth->credentials.registry_token; *c; c++) {
		if (*c <= ' ' || *c > '~')
			return err_set(err, ERR_CONFIG,
			               "the registry token has characters it may not have");
	}
	if (copy(auth->credentials.registry_token, &token, err))
		return -1;
	return set_header(auth, "Bearer", token, err);
}

struct auth *auth_new(const struct oci_settings *settings, const char *registry_url,
                      struct transport *transport, struct err *err)
{
	CLEANUP(cleanup_auth) struct auth *auth = calloc(1, sizeof(*auth));

	if (!auth) {
		(void)err_set_sys(err, ENOMEM, "credentials");
		return NULL;
	}
	auth->transport = transport;
	if (url_place(registry_url, &auth->registry, err) ||
	    copy_credentials(&settings->credentials, &auth->credentials, err) ||
	    use_registry_token(auth, err))
		return NULL;
	if (oci_uses_aws(settings)) {
		auth->ecr = ecr_new(settings, transport, err);
		if (!auth->ecr)
			return NULL;
	}
	if (asprintf(&auth->scope, "repository:%s:pull%s", settings->reference.name,
	             settings->is_pushed_to ? ",push" : "") < 0) {
		auth->scope = NULL;
		(void)err_set_sys(err, ENOMEM, "credentials");
		return NULL;
	}
	return STEAL(auth);
}

void auth_free(struct auth *auth)
{
	if (!auth)
		return;
	oci_credentials_release(&auth->credentials);
	wipe_text(&auth->header);
	ecr_free(auth->ecr);
	free(auth->scope);
	free(auth);
}

/* Its token is the header, and no challenge is answered. */
static bool is_private_ecr(const struct auth *auth)
{
	return auth->ecr && !ecr_is_public(auth->ecr);
}

struct answer_hint auth_hint(const struct auth *auth)
{
	enum oci_cause cause = auth->powerless ? OCI_CAUSE_TOKEN_POWERLESS
	                                       : OCI_CAUSE_LOGIN_REFUSED;

	if (auth->ecr)
		return (struct answer_hint){ "check the rights of the AWS credentials", cause };
	if (auth->credentials.registry_token)
		return (struct answer_hint){ "check the registry token", cause };
	if (auth->credentials.identity_token)
		return (struct answer_hint){ "check the identity token", cause };
	if (auth->credentials.username)
		return (struct answer_hint){ "check username and password", cause };
	return (struct answer_hint){ "no credentials are given", OCI_CAUSE_LOGIN_MISSING };
}

/* RFC 7617, section 2: a heap string, or NULL without memory. */
static char *basic_text(const struct oci_credentials *credentials)
{
	CLEANUP(wipe_text) char *pair = NULL;
	char *text;
	int size = asprintf(&pair, "%s:%s", credentials->username,
	                    credentials->password ? credentials->password : "");

	if (size < 0) {
		pair = NULL;
		return NULL;
	}
	text = malloc(4 * ((size_t)size + 2) / 3 + 4);
	if (text)
		(void)EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)pair, size);
	return text;
}

static int use_basic(struct auth *auth, struct err *err)
{
	CLEANUP(wipe_text) char *text = basic_text(&auth->credentials);

	if (!text)
		return err_set_sys(err, ENOMEM, "credentials");
	return set_header(auth, "Basic", text, err);
}

static int log_in_to_ecr(struct auth *auth, struct err *err)
{
	CLEANUP(ecr_login_release) struct ecr_login login = { .token = NULL };

	if (ecr_login(auth->ecr, &login, err) || set_header(auth, "Basic", login.token, err))
		return -1;
	auth->is_token = true;
	auth->renew_ms = clock_now_ms() + 1000 * login.renew_s;
	auth->end_ms = clock_now_ms() + 1000 * login.life_s;
	return 0;
}

static int read_token(struct auth *auth, const struct exchange *exchange, const char *server,
                      struct err *err)
{
	CLEANUP(wipe_text) char *token = NULL;
	int64_t now_ms = clock_now_ms();
	int64_t seconds = 0;

	if (token_read(buf_text(&exchange->body), exchange->body.size, &token, &seconds, err))
		return err_context(err, "token server %s", server);
	if (set_header(auth, "Bearer", token, err))
		return -1;
	auth->is_token = true;
	/* A tenth of its life is for questions that are under way when it ends. */
	auth->renew_ms = now_ms + 900 * seconds;
	auth->end_ms = now_ms + 1000 * seconds;
	return 0;
}

/*
 * Of tags and repositories a token server knows nothing: its 404 must not stand for
 * theirs. Where it leads to is not followed.
 */
static int refuse_token(struct auth *auth, const struct exchange *exchange, const char *who,
                        struct err *err)
{
	bool leads_away = exchange->status >= 300 && exchange->status < 400;
	const char *later = exchange_header(exchange, "Retry-After", 0);

	if (later && answer_may_pass(exchange->status))
		auth->not_before_ms = clock_now_ms() +
		                      retry_after_ms(later, exchange_header(exchange, "Date", 0));
	(void)answer_refuse(exchange, who, auth_hint(auth), err);
	if (exchange->status == 404 || leads_away) {
		(void)err_set(err, ERR_FORMAT, "%ld from %s: %s%s", exchange->status, who,
		              leads_away ? "it leads elsewhere, and no credentials go there"
		                         : "there is no token server at this address (realm)",
		              exchange->form && !leads_away ? ", or it takes no identity token"
		                                            : "");
		return err_cause(err, OCI_CAUSE_NO_TOKEN_SERVER);
	}
	/* RFC 6749, section 5.2: a refresh token that is refused is a 400. */
	if (exchange->status == 400) {
		err->kind = ERR_AUTH;
		if (!err->cause)
			return err_cause(err, OCI_CAUSE_LOGIN_REFUSED);
	}
	return -1;
}

static int ask_token(struct auth *auth, struct exchange *exchange, struct err *err)
{
	char who[sizeof("token server ") + URL_PLACE_SIZE];
	int failed;

	transport_ask(auth->transport, exchange);
	(void)snprintf(who, sizeof(who), "token server %s", exchange->host);
	if (exchange->failed) {
		*err = exchange->err;
		failed = err_context(err, "token server");
	} else if (exchange->status != 200) {
		failed = refuse_token(auth, exchange, who, err);
	} else {
		failed = read_token(auth, exchange, exchange->host, err);
	}
	if (exchange->body.data)
		explicit_bzero(exchange->body.data, exchange->body.size);
	return failed;
}

/* Basic for the token server, or NULL: we are nobody. */
static int token_server_basic(struct auth *auth, char **out, struct err *err)
{
	CLEANUP(ecr_login_release) struct ecr_login login = { .token = NULL };
	CLEANUP(wipe_text) char *basic = NULL;
	const char *text = NULL;

	if (auth->ecr) {
		if (ecr_login(auth->ecr, &login, err))
			return -1;
		text = login.token;
	} else if (auth->credentials.username) {
		text = basic = basic_text(&auth->credentials);
		if (!basic)
			return err_set_sys(err, ENOMEM, "credentials");
	}
	if (text && asprintf(out, "Basic %s", text) < 0) {
		*out = NULL;
		return err_set_sys(err, ENOMEM, "credentials");
	}
	return 0;
}

int64_t auth_not_before_ms(const struct auth *auth)
{
	bool has_token = auth->header && (!auth->is_token || clock_now_ms() < auth->renew_ms);

	return has_token ? 0 : auth->not_before_ms;
}

static int may_ask(const struct auth *auth, struct err *err)
{
	int64_t left = auth->not_before_ms - clock_now_ms();

	if (left <= 0)
		return 0;
	(void)err_set(err, ERR_NETWORK,
	              "the token server wants no question for %" PRId64
	              " seconds more (Retry-After)",
	              (left + 999) / 1000);
	return err_cause(err, OCI_CAUSE_RATE_LIMITED);
}

/* Get a token for auth->challenge: with a refresh token by POST, else by GET, if need be as nobody.
 */
static int login_with_token(struct auth *auth, struct err *err)
{
	const struct oci_credentials *credentials = &auth->credentials;
	CLEANUP(exchange_release)
	struct exchange exchange = {
		.size = EXCHANGE_ANY_SIZE,
		.max_bytes = LIMIT_TOKEN_BYTES,
		.accept = "application/json",
	};
	CLEANUP(cleanup_free) char *url = NULL;
	CLEANUP(wipe_text) char *form = NULL;
	CLEANUP(wipe_text) char *authorization = NULL;

	if (may_ask(auth, err) || token_check_realm(auth->challenge.realm, &auth->registry, err))
		return -1;
	if (credentials->identity_token) {
		form = token_form(&auth->challenge, credentials->identity_token, err);
		if (!form)
			return -1;
		exchange.method = EXCHANGE_POST;
		exchange.url = auth->challenge.realm;
		exchange.form = form;
		exchange.secret = credentials->identity_token;
		return ask_token(auth, &exchange, err);
	}
	url = token_url(&auth->challenge, err);
	if (!url || token_server_basic(auth, &authorization, err))
		return -1;
	exchange.method = EXCHANGE_GET;
	exchange.url = url;
	exchange.authorization = authorization;
	return ask_token(auth, &exchange, err);
}

/* Get another token in time. Who gives them may be out of reach while the old one lives. */
static int renew(struct auth *auth, struct err *err)
{
	int64_t now_ms = clock_now_ms();
	struct err why;

	if (auth->header && now_ms < auth->renew_ms)
		return 0;
	if (!(is_private_ecr(auth) ? log_in_to_ecr(auth, &why) : login_with_token(auth, &why)))
		return 0;
	if (!auth->header || why.kind != ERR_NETWORK || now_ms >= auth->end_ms) {
		wipe_text(&auth->header);
		*err = why;
		return -1;
	}
	auth->renew_ms = now_ms + 1000 * (int64_t)TOKEN_RETRY_S;
	if (auth->renew_ms > auth->end_ms)
		auth->renew_ms = auth->end_ms;
	return 0;
}

int auth_header(struct auth *auth, const char **out_value, struct err *err)
{
	if ((is_private_ecr(auth) || (auth->header && auth->is_token)) && renew(auth, err))
		return -1;
	*out_value = auth->header;
	return 0;
}

bool auth_rejects(const struct auth *auth, const struct exchange *exchange,
                  struct auth_rejection *out_rejection)
{
	struct auth_rejection rejection = { .with_header = exchange->authorization };
	char right[AWS_RIGHT_SIZE];
	const char *line;
	long status = exchange->status;

	if (exchange->failed || exchange->foreign)
		return false;
	rejection.denied = status == 401;
	if (status != 401 &&
	    !((status == 400 || status == 403) && rejection.with_header && auth->is_token))
		return false;
	/* The same user with another token would lack the same right. */
	if (auth->ecr && aws_error_right(buf_text(&exchange->body), right))
		return false;
	for (size_t i = 0; (line = exchange_header(exchange, "WWW-Authenticate", i)); i++)
		challenge_add(&rejection.challenge, line);
	*out_rejection = rejection;
	return true;
}

static int log_in(struct auth *auth, const struct challenge *challenge, struct err *err)
{
	auth->powerless = false;
	if (!challenge->bearer)
		return use_basic(auth, err);
	auth->challenge = *challenge;
	if (!challenge->scope[0])
		(void)snprintf(auth->challenge.scope, sizeof(auth->challenge.scope), "%s",
		               auth->scope);
	wipe_text(&auth->header);
	return login_with_token(auth, err);
}

enum auth_verdict auth_react(struct auth *auth, struct auth_round *round,
                             const struct auth_rejection *rejection, struct err *err)
{
	const struct challenge *challenge = &rejection->challenge;
	bool basic = challenge->basic && auth->credentials.username && !rejection->with_header;

	if (auth->credentials.registry_token)
		return AUTH_KEEP;
	if (is_private_ecr(auth)) {
		if (round->logged_in)
			return AUTH_KEEP;
		round->logged_in = true;
		wipe_text(&auth->header);
		return log_in_to_ecr(auth, err) ? AUTH_FAILED : AUTH_AGAIN;
	}
	if (round->logged_in) {
		/* Worthless: Harbor gives a token to whoever asks. The next question begins anew.
		 */
		if (rejection->denied) {
			auth->powerless = auth->is_token;
			wipe_text(&auth->header);
		}
		return AUTH_KEEP;
	}
	if (rejection->denied && (challenge->bearer || basic)) {
		round->logged_in = true;
		return log_in(auth, challenge, err) ? AUTH_FAILED : AUTH_AGAIN;
	}
	/* Harbor says Basic to an expired token, ECR 403 or 400: look what it says to nobody. */
	if (rejection->with_header && !round->dropped) {
		round->dropped = true;
		wipe_text(&auth->header);
		return AUTH_AGAIN;
	}
	return AUTH_KEEP;
}
