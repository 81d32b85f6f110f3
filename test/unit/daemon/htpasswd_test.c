/* Users and passwords: what a check costs says nothing about who is there. */
#include <crypt.h>
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/htpasswd.h"

static unsigned calls;
static char setting[8]; /* scheme and cost of the last call */

/* In front of libcrypt's: counts, and hands on. */
char *crypt_r(const char *phrase, const char *from, struct crypt_data *data)
{
	char *(*real)(const char *, const char *, struct crypt_data *);

	*(void **)&real = dlsym(RTLD_NEXT, "crypt_r");
	calls++;
	(void)snprintf(setting, sizeof(setting), "%.7s", from);
	return real(phrase, from, data);
}

static struct htpasswd *users_of(const char *const *users)
{
	char name[] = "/tmp/htpasswd-test-XXXXXX";
	struct htpasswd *read;
	struct err err = { .msg = "" };
	FILE *file = fdopen(mkstemp(name), "w");

	assert_non_null(file);
	for (; *users; users += 3) {
		char salt[CRYPT_GENSALT_OUTPUT_SIZE];
		struct crypt_data data = { .initialized = 0 };

		assert_non_null(
			crypt_gensalt_rn(users[2], 4, "0123456789abcdef", 16, salt, sizeof(salt)));
		(void)fprintf(file, "%s:%s\n", users[0], crypt_r(users[1], salt, &data));
	}
	assert_int_equal(fclose(file), 0);
	read = htpasswd_read(name, &err);
	(void)unlink(name);
	if (!read)
		fail_msg("%s", err.msg);
	return read;
}

static void each_check_hashes_once(void **state)
{
	static const char *const users[] = { "bob", "right", "$2y$", "eve", "", "$2y$", NULL };
	static const struct {
		const char *user, *password;
		bool is_right, is_known;
	} cases[] = {
		{ "bob", "right", true, true },   { "bob", "wrong", false, true },
		{ "bob", "", false, true },       { "eve", "", true, true },
		{ "eve", "right", false, true },  { "nobody", "right", false, false },
		{ "nobody", "", false, false },   { "", "right", false, false },
		{ "bo", "right", false, false },  { "bobb", "right", false, false },
		{ "BOB", "right", false, false },
	};
	struct htpasswd *read = users_of(users);

	(void)state;
	assert_int_equal(htpasswd_count(read), 2);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool is_known;

		calls = 0;
		assert_int_equal(htpasswd_check(read, cases[i].user, cases[i].password, &is_known),
		                 cases[i].is_right);
		assert_int_equal(is_known, cases[i].is_known);
		assert_int_equal(calls, 1);
		assert_string_equal(setting, "$2y$04$");
	}
	htpasswd_free(read);
}

/* With several schemes, an unknown user has one of them, and always the same. */
static void strangers_are_like_users(void **state)
{
	static const char *const users[] = { "bob", "x", "$2y$", "eve", "x", "$2b$", NULL };
	struct htpasswd *read = users_of(users);
	unsigned seen[2] = { 0, 0 };
	bool is_known;

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		char name[16], first[sizeof(setting)];

		(void)snprintf(name, sizeof(name), "user-%u", i);
		assert_false(htpasswd_check(read, name, "x", &is_known));
		(void)memcpy(first, setting, sizeof(first));
		assert_false(htpasswd_check(read, name, "x", &is_known));
		assert_string_equal(setting, first);
		seen[first[2] == 'b']++;
	}
	assert_true(seen[0] > 8 && seen[1] > 8);
	htpasswd_free(read);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_check_hashes_once),
		cmocka_unit_test(strangers_are_like_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
