/* Basic authentication; see login.h. */
#include "login.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/listen.h"
#include "htpasswd.h"
#include "log.h"
#include "offload.h"
#include "recurring.h"

enum {
	KEY_BYTES = 32,
	CACHE_SLOTS = 1024,
	ADDRESS_SLOTS = 4096,
	WAITING_MAX = 64,
	WAIT_MS = 5 * 1000,
	FAILURES_MAX = 10, /* of an address at once */
	FAILURE_MS = 1000, /* and one more in this time */
	FIELD_MAX = 4 * (HTPASSWD_NAME_SIZE + HTPASSWD_PASSWORD_SIZE) / 3,
};

struct credentials {
	char user[HTPASSWD_NAME_SIZE];
	char password[HTPASSWD_PASSWORD_SIZE];
};

/* When an address has all its tries back. Others may share the slot, nobody can choose to. */
struct address {
	int64_t whole_ms;
};

struct login {
	const char *file;
	struct recurring *failures; /* its own: strangers must not push other troubles out */
	struct status *status;
	struct offload *offload;
	unsigned char secret[KEY_BYTES];
	atomic_bool stopping;
	/* The thread's own: */
	struct htpasswd *users;
	struct stat seen;

	pthread_mutex_t mutex; /* guards all below */
	unsigned char right[CACHE_SLOTS][KEY_BYTES];
	bool is_right[CACHE_SLOTS];
	struct address addresses[ADDRESS_SLOTS];
	struct login_try *under_way; /* each key once */
};

struct login_try {
	struct offload_job job;
	struct login *login;
	struct credentials credentials;
	unsigned char key[KEY_BYTES];
	struct sockaddr_storage peer;
	size_t address;
	int64_t since_ms;
	enum login_verdict verdict;
	void (*done)(void *ctx);
	void *ctx;
	struct login_try *next;   /* under way, or of the followers */
	struct login_try *follow; /* those that have the same key, and get its verdict */
};

/* ---- what was right ---- */

static void key_of(const struct login *login, const void *bytes, size_t size,
                   unsigned char key[static KEY_BYTES])
{
	unsigned length = KEY_BYTES;

	(void)HMAC(EVP_sha256(), login->secret, sizeof(login->secret), bytes, size, key, &length);
}

static size_t slot_of(const unsigned char *key, size_t slots)
{
	return ((size_t)key[0] << 8 | key[1]) % slots;
}

static bool was_right(struct login *login, const unsigned char *key)
{
	size_t slot = slot_of(key, CACHE_SLOTS);
	bool is_right;

	(void)pthread_mutex_lock(&login->mutex);
	is_right = login->is_right[slot] && !CRYPTO_memcmp(login->right[slot], key, KEY_BYTES);
	(void)pthread_mutex_unlock(&login->mutex);
	return is_right;
}

static void note_right(struct login *login, const unsigned char *key)
{
	size_t slot = slot_of(key, CACHE_SLOTS);

	(void)pthread_mutex_lock(&login->mutex);
	memcpy(login->right[slot], key, KEY_BYTES);
	login->is_right[slot] = true;
	(void)pthread_mutex_unlock(&login->mutex);
}

/* ---- who fails too often ---- */

/* An IPv6 /64 counts as one address, as everywhere. */
static size_t address_of(const struct login *login, const struct sockaddr_storage *peer)
{
	unsigned char bytes[9] = { 0 }, key[KEY_BYTES];

	if (peer->ss_family == AF_INET6) {
		const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)peer;

		if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
			memcpy(bytes, six->sin6_addr.s6_addr + 12, 4);
		} else {
			bytes[8] = 6;
			memcpy(bytes, six->sin6_addr.s6_addr, 8);
		}
	} else {
		memcpy(bytes, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
	}
	key_of(login, bytes, sizeof(bytes), key);
	return slot_of(key, ADDRESS_SLOTS);
}

/* Take a try from an address, with the mutex held; whether it had one. */
static bool take(struct login *login, size_t address)
{
	int64_t now_ms = clock_now_ms();
	struct address *at = &login->addresses[address];
	bool has;

	if (at->whole_ms < now_ms)
		at->whole_ms = now_ms;
	has = at->whole_ms - now_ms <= (FAILURES_MAX - 1) * FAILURE_MS;
	if (has)
		at->whole_ms += FAILURE_MS;
	return has;
}

/* It was no failure. */
static void give_back(struct login *login, size_t address)
{
	(void)pthread_mutex_lock(&login->mutex);
	login->addresses[address].whole_ms -= FAILURE_MS;
	(void)pthread_mutex_unlock(&login->mutex);
}

/* ---- the field ---- */

/* `Basic` and the base64 of USER:PASSWORD. */
static bool read_field(const char *field, struct credentials *out)
{
	unsigned char text[FIELD_MAX + 4];
	const char *at = field + 5;
	size_t length, padding = 0;
	char *colon;
	int size;

	if (strncasecmp(field, "Basic", 5) != 0 || (*at != ' ' && *at != '\t'))
		return false;
	at += strspn(at, " \t");
	length = strcspn(at, " \t");
	if (!length || length > FIELD_MAX || length % 4 || at[length + strspn(at + length, " \t")])
		return false;
	while (padding < 2 && at[length - 1 - padding] == '=')
		padding++;
	size = EVP_DecodeBlock(text, (const unsigned char *)at, (int)length);
	if (size < (int)padding)
		return false;
	text[size - (int)padding] = '\0';
	colon = strchr((char *)text, ':');
	if (colon && strlen((char *)text) == (size_t)size - padding && colon != (char *)text &&
	    colon - (char *)text < HTPASSWD_NAME_SIZE &&
	    strlen(colon + 1) < HTPASSWD_PASSWORD_SIZE) {
		*colon = '\0';
		memset(out, 0, sizeof(*out));
		memcpy(out->user, text, strlen((char *)text) + 1);
		memcpy(out->password, colon + 1, strlen(colon + 1) + 1);
	} else {
		colon = NULL;
	}
	OPENSSL_cleanse(text, sizeof(text));
	return colon != NULL;
}

/* ---- tries ---- */

/* Under which name its failures are thinned: an IPv6 /64 counts as one here, too. */
static void name_of(const struct sockaddr_storage *peer, char name[static LISTEN_TEXT_SIZE])
{
	struct listen_address address = { .address = *peer };
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&address.address;

	if (peer->ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		memset(six->sin6_addr.s6_addr + 8, 0, 8);
	(void)listen_format(&address, name);
	*strrchr(name, ':') = '\0';
}

static void tell_failure(struct login *login, const struct login_try *attempt, bool is_known)
{
	struct listen_address peer = { .address = attempt->peer };
	char address[LISTEN_TEXT_SIZE], name[LISTEN_TEXT_SIZE];
	const char *reason = is_known ? "wrong password" : "no such user";

	/* Thinned by the address alone; a name that nobody has may be a password. */
	(void)listen_format(&peer, address);
	*strrchr(address, ':') = '\0';
	name_of(&attempt->peer, name);
	if (recurring_happened(login->failures, name, "login", clock_now_ms()))
		log_line(LOG_WARNING, "Login failed",
		         (struct log_field[]){
				 { "peer", address },
				 { "reason", reason },
				 { is_known ? "user" : NULL, attempt->credentials.user },
				 { NULL, NULL } });
}

/* The try of the same credentials, with the mutex held: clients often share theirs. */
static struct login_try **find_same(struct login *login, const unsigned char *key)
{
	struct login_try **at = &login->under_way;

	while (*at && CRYPTO_memcmp((*at)->key, key, KEY_BYTES) != 0)
		at = &(*at)->next;
	return at;
}

/* Tell who has asked, and all who have asked the same meanwhile. Each may be gone once it knows. */
static void tell_verdict(struct login_try *attempt, enum login_verdict verdict)
{
	struct login *login = attempt->login;
	struct login_try *next;

	(void)pthread_mutex_lock(&login->mutex);
	*find_same(login, attempt->key) = attempt->next;
	(void)pthread_mutex_unlock(&login->mutex);
	attempt->next = attempt->follow;
	for (; attempt; attempt = next) {
		next = attempt->next;
		attempt->verdict = verdict;
		attempt->done(attempt->ctx);
	}
}

static enum login_verdict check(struct login_try *attempt)
{
	struct login *login = attempt->login;
	bool is_known;

	if (atomic_load(&login->stopping) || clock_now_ms() - attempt->since_ms > WAIT_MS) {
		give_back(login, attempt->address);
		return LOGIN_BUSY;
	}
	if (htpasswd_check(login->users, attempt->credentials.user, attempt->credentials.password,
	                   &is_known)) {
		note_right(login, attempt->key);
		give_back(login, attempt->address);
		return LOGIN_YES;
	}
	tell_failure(login, attempt, is_known);
	return LOGIN_NO;
}

static void work(struct offload_job *job)
{
	struct login_try *attempt = (struct login_try *)(void *)job;
	enum login_verdict verdict = check(attempt);

	OPENSSL_cleanse(&attempt->credentials, sizeof(attempt->credentials));
	tell_verdict(attempt, verdict);
}

static enum login_verdict make_try(struct login *login, const struct credentials *credentials,
                                   const unsigned char *key, const struct sockaddr_storage *peer,
                                   struct login_try **out_try)
{
	struct login_try *attempt = calloc(1, sizeof(*attempt));

	if (!attempt)
		return LOGIN_BUSY;
	attempt->job.work = work;
	attempt->login = login;
	attempt->credentials = *credentials;
	memcpy(attempt->key, key, KEY_BYTES);
	attempt->peer = *peer;
	attempt->address = address_of(login, peer);
	*out_try = attempt;
	return LOGIN_TO_TRY;
}

enum login_verdict login_judge(struct login *login, const char *authorization,
                               const struct sockaddr_storage *peer, struct login_try **out_try)
{
	struct credentials credentials;
	enum login_verdict verdict = LOGIN_YES;
	unsigned char key[KEY_BYTES];

	if (!authorization || !read_field(authorization, &credentials))
		return LOGIN_NO;
	key_of(login, &credentials, sizeof(credentials), key);
	if (!was_right(login, key))
		verdict = make_try(login, &credentials, key, peer, out_try);
	OPENSSL_cleanse(&credentials, sizeof(credentials));
	return verdict;
}

/* Join the same try that is under way, or take one for it: then *out_is_first. */
static enum login_verdict enter(struct login_try *attempt, bool *out_is_first)
{
	struct login *login = attempt->login;
	enum login_verdict verdict = LOGIN_TO_TRY;
	struct login_try **same;

	(void)pthread_mutex_lock(&login->mutex);
	same = find_same(login, attempt->key);
	*out_is_first = !*same;
	if (*same) {
		attempt->next = (*same)->follow;
		(*same)->follow = attempt;
	} else if (take(login, attempt->address)) {
		*same = attempt;
	} else {
		verdict = LOGIN_OFTEN;
	}
	(void)pthread_mutex_unlock(&login->mutex);
	return verdict;
}

void login_try_start(struct login_try *attempt, void (*done)(void *ctx), void *ctx)
{
	struct login *login = attempt->login;
	bool is_first;

	attempt->done = done;
	attempt->ctx = ctx;
	attempt->since_ms = clock_now_ms();
	if (enter(attempt, &is_first) == LOGIN_OFTEN) {
		attempt->verdict = LOGIN_OFTEN;
		done(ctx);
	} else if (is_first && !offload_add(login->offload, &attempt->job)) {
		give_back(login, attempt->address);
		tell_verdict(attempt, LOGIN_BUSY);
	}
}

enum login_verdict login_try_verdict(const struct login_try *attempt)
{
	return attempt->verdict;
}

void login_try_free(struct login_try *attempt)
{
	if (attempt)
		OPENSSL_cleanse(attempt, sizeof(*attempt));
	free(attempt);
}

/* ---- the file ---- */

static bool has_changed(struct login *login)
{
	struct stat now;

	if (stat(login->file, &now))
		memset(&now, 0, sizeof(now));
	if (now.st_ino == login->seen.st_ino && now.st_dev == login->seen.st_dev &&
	    now.st_size == login->seen.st_size &&
	    now.st_mtim.tv_sec == login->seen.st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == login->seen.st_mtim.tv_nsec)
		return false;
	login->seen = now;
	return true;
}

/* On the thread, between tries. */
static void read_again(void *ctx)
{
	static const char subject[] = "users";
	struct login *login = ctx;
	struct htpasswd *users;
	char count[24];
	struct err err;

	if (!has_changed(login))
		return;
	users = htpasswd_read(login->file, &err);
	if (!users) {
		status_happened(login->status, subject, false, "Users not taken over", &err);
		log_line(LOG_ERROR, "Users not taken over, the earlier ones count still",
		         (struct log_field[]){ { "error", err.msg }, { NULL, NULL } });
		return;
	}
	status_over(login->status, subject, false);
	htpasswd_free(login->users);
	login->users = users;
	(void)pthread_mutex_lock(&login->mutex);
	memset(login->is_right, 0, sizeof(login->is_right));
	(void)pthread_mutex_unlock(&login->mutex);
	(void)snprintf(count, sizeof(count), "%zu", htpasswd_count(users));
	log_line(LOG_INFO, "Users taken over",
	         (struct log_field[]){ { "count", count }, { NULL, NULL } });
}

struct login *login_new(const char *file, struct status *status, struct err *err)
{
	struct login *login = calloc(1, sizeof(*login));

	if (!login) {
		(void)err_set_sys(err, ENOMEM, "authentication");
		return NULL;
	}
	login->file = file;
	login->status = status;
	(void)pthread_mutex_init(&login->mutex, NULL);
	login->failures = recurring_new(err);
	if (!login->failures)
		goto fail;
	if (RAND_bytes(login->secret, sizeof(login->secret)) != 1)
		(void)err_set(err, ERR_IO, "no random numbers");
	else if (has_changed(login), (login->users = htpasswd_read(file, err)))
		login->offload = offload_new(WAITING_MAX, read_again, login, err);
	if (login->offload)
		return login;
fail:
	login_free(login);
	return NULL;
}

void login_free(struct login *login)
{
	if (!login)
		return;
	atomic_store(&login->stopping, true);
	offload_free(login->offload);
	htpasswd_free(login->users);
	recurring_free(login->failures);
	(void)pthread_mutex_destroy(&login->mutex);
	OPENSSL_cleanse(login, sizeof(*login));
	free(login);
}
