/* Users and their passwords; see htpasswd.h. */
#include "htpasswd.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"

enum { FILE_MAX_BYTES = 1024 * 1024, BCRYPT_LENGTH = 60 };

struct user {
	char *name; /* the line, which the hash is a part of */
	const char *hash;
};

struct htpasswd {
	struct user *users;
	size_t count;
	unsigned char secret[16]; /* chooses whom an unknown user is to be like */
	struct crypt_data scratch;
};

static const char hash_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789./";

void htpasswd_free(struct htpasswd *users)
{
	if (!users)
		return;
	for (size_t i = 0; i < users->count; i++)
		free(users->users[i].name);
	free(users->users);
	OPENSSL_cleanse(&users->scratch, sizeof(users->scratch));
	free(users);
}

DEFINE_CLEANUP(cleanup_users, struct htpasswd, htpasswd_free);

size_t htpasswd_count(const struct htpasswd *users)
{
	return users->count;
}

/* ---- reading ---- */

/* $2y$10$ and 53 characters. */
static int check_bcrypt(const char *hash, struct err *err)
{
	char *end;
	long cost = strtol(hash + 4, &end, 10);

	if (strlen(hash) != BCRYPT_LENGTH || end != hash + 6 || *end != '$' ||
	    strspn(hash + 7, hash_characters) != BCRYPT_LENGTH - 7 || cost < 4)
		return err_set(err, ERR_CONFIG, "no whole bcrypt hash");
	if (cost > HTPASSWD_COST_MAX)
		return err_set(err, ERR_CONFIG, "bcrypt with a cost of %ld; at most %d", cost,
		               HTPASSWD_COST_MAX);
	return 0;
}

/* $6$rounds=5000$SALT$ and 86 characters, or $5$ and 43. */
static int check_sha(const char *hash, struct err *err)
{
	const char *at = hash + 3;
	size_t wanted = hash[1] == '6' ? 86 : 43;

	if (!strncmp(at, "rounds=", 7)) {
		char *end;
		long rounds = strtol(at + 7, &end, 10);

		if (*end != '$' || rounds < 1000)
			return err_set(err, ERR_CONFIG, "no whole SHA-crypt hash");
		if (rounds > HTPASSWD_ROUNDS_MAX)
			return err_set(err, ERR_CONFIG, "SHA-crypt with %ld rounds; at most %d",
			               rounds, HTPASSWD_ROUNDS_MAX);
		at = end + 1;
	}
	at += strcspn(at, "$");
	if (*at != '$' || strlen(at + 1) != wanted || strspn(at + 1, hash_characters) != wanted)
		return err_set(err, ERR_CONFIG, "no whole SHA-crypt hash");
	return 0;
}

static int check_hash(const char *hash, struct err *err)
{
	if (!strncmp(hash, "$2a$", 4) || !strncmp(hash, "$2b$", 4) || !strncmp(hash, "$2y$", 4))
		return check_bcrypt(hash, err);
	if (!strncmp(hash, "$5$", 3) || !strncmp(hash, "$6$", 3))
		return check_sha(hash, err);
	return err_set(err, ERR_CONFIG, "%s not taken; make a bcrypt hash: htpasswd -B",
	               !strncmp(hash, "$apr1$", 6) || !strncmp(hash, "$1$", 3) ? "MD5 hashes are"
	               : !strncmp(hash, "{SHA}", 5) ? "SHA-1 hashes without salt are"
	                                            : "this form of hash is");
}

static int add_user(struct htpasswd *users, const char *line, size_t length, struct err *err)
{
	struct user *more = realloc(users->users, (users->count + 1) * sizeof(*more));
	char *colon;

	if (more)
		users->users = more;
	if (!more || !(more[users->count].name = strndup(line, length)))
		return err_set_sys(err, ENOMEM, "users");
	more += users->count++;
	colon = strchr(more->name, ':');
	if (!colon || colon == more->name || colon - more->name >= HTPASSWD_NAME_SIZE)
		return err_set(err, ERR_CONFIG, "not of the form USER:HASH");
	*colon = '\0';
	more->hash = colon + 1;
	for (size_t i = 0; i + 1 < users->count; i++)
		if (!strcmp(users->users[i].name, more->name))
			return err_set(err, ERR_CONFIG, "this user is there already");
	return check_hash(more->hash, err);
}

/* Called with what is wrong with a line, which is left out then; returns -1 to end it all. */
typedef int line_judge(void *ctx, unsigned line, struct err *err);

static int add_lines(struct htpasswd *users, const char *at, line_judge *judge, void *ctx,
                     struct err *err)
{
	for (unsigned number = 1; *at; number++) {
		size_t size = strcspn(at, "\n");
		size_t length = size && at[size - 1] == '\r' ? size - 1 : size;
		size_t before = users->count;

		if (length && *at != '#' && add_user(users, at, length, err)) {
			if (judge(ctx, number, err))
				return -1;
			if (users->count > before)
				free(users->users[--users->count].name);
		}
		at += size + (at[size] == '\n');
	}
	return 0;
}

static void cleanup_text(struct buf *text)
{
	if (text->data)
		OPENSSL_cleanse(text->data, text->size);
	buf_release(text);
}

static struct htpasswd *read_lines(const char *file, line_judge *judge, void *ctx, struct err *err)
{
	CLEANUP(cleanup_users) struct htpasswd *users = calloc(1, sizeof(*users));
	CLEANUP(cleanup_text) struct buf text = BUF_INIT(FILE_MAX_BYTES);

	if (!users) {
		(void)err_set_sys(err, ENOMEM, "users");
		return NULL;
	}
	if (io_read_file(AT_FDCWD, file, &text, err))
		return NULL;
	if (strlen(buf_text(&text)) != text.size)
		(void)err_set(err, ERR_CONFIG, "%s: no text", file);
	else if (add_lines(users, buf_text(&text), judge, ctx, err))
		(void)err_context(err, "%s", file);
	else
		return STEAL(users);
	return NULL;
}

static int refuse_line(void *ctx, unsigned line, struct err *err)
{
	(void)ctx;
	return err_context(err, "line %u", line);
}

struct htpasswd *htpasswd_read(const char *file, struct err *err)
{
	CLEANUP(cleanup_users) struct htpasswd *users = read_lines(file, refuse_line, NULL, err);

	if (users && RAND_bytes(users->secret, sizeof(users->secret)) != 1) {
		(void)err_set(err, ERR_IO, "no random numbers");
		return NULL;
	}
	if (users && users->count)
		return STEAL(users);
	if (users)
		(void)err_set(err, ERR_CONFIG, "%s: there is no user", file);
	err->kind = ERR_CONFIG;
	return NULL;
}

struct look {
	void (*bad)(void *ctx, unsigned line, const char *why);
	void *ctx;
	unsigned count;
};

static int note_line(void *ctx, unsigned line, struct err *err)
{
	struct look *look = ctx;

	look->count++;
	look->bad(look->ctx, line, err->msg);
	return 0;
}

int htpasswd_look(const char *file, void (*bad)(void *ctx, unsigned line, const char *why),
                  void *ctx, struct htpasswd_survey *out_survey, struct err *err)
{
	struct look look = { .bad = bad, .ctx = ctx };
	CLEANUP(cleanup_users) struct htpasswd *users = read_lines(file, note_line, &look, err);
	struct htpasswd_survey survey = { .bad = look.count };

	if (!users)
		return -1;
	for (size_t i = 0; i < users->count; i++) {
		char scheme = users->users[i].hash[1];

		survey.bcrypt += scheme == '2';
		survey.sha256 += scheme == '5';
		survey.sha512 += scheme == '6';
	}
	*out_survey = survey;
	return 0;
}

/* ---- checking ---- */

/* A user that an unknown one is to be like: always the same for the same name. */
static const struct user *stand_in(const struct htpasswd *users, const char *name)
{
	unsigned char text[sizeof(users->secret) + HTPASSWD_NAME_SIZE] = { 0 };
	unsigned char hash[SHA256_DIGEST_LENGTH];
	size_t number = 0;

	memcpy(text, users->secret, sizeof(users->secret));
	(void)strncpy((char *)text + sizeof(users->secret), name, HTPASSWD_NAME_SIZE - 1);
	(void)SHA256(text, sizeof(text), hash);
	for (size_t i = 0; i < sizeof(number); i++)
		number = number << 8 | hash[i];
	return &users->users[number % users->count];
}

bool htpasswd_check(struct htpasswd *users, const char *user, const char *password,
                    bool *out_is_known)
{
	const struct user *found = stand_in(users, user);
	bool is_known = false;
	const char *hash;
	bool is_right;

	for (size_t i = 0; i < users->count; i++)
		if (!strcmp(users->users[i].name, user)) {
			found = &users->users[i];
			is_known = true;
		}
	hash = crypt_r(password, found->hash, &users->scratch);
	is_right = hash && strlen(hash) == strlen(found->hash) &&
	           !CRYPTO_memcmp(hash, found->hash, strlen(hash));
	OPENSSL_cleanse(&users->scratch, sizeof(users->scratch));
	*out_is_known = is_known;
	return is_right && is_known;
}
