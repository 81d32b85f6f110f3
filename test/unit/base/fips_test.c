/* Which keys FIPS mode takes, and that it is off unless it is required. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/fips.h"

static void keys(void **state)
{
	EVP_PKEY *rsa = EVP_RSA_gen(2048), *ec = EVP_EC_gen("P-384");
	EVP_PKEY *ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	EVP_PKEY *ed448 = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");

	(void)state;
	assert_non_null(ed25519);
	assert_non_null(ed448);
	assert_true(fips_approves_key(rsa));
	assert_true(fips_approves_key(ec));
	assert_false(fips_approves_key(ed25519));
	assert_false(fips_approves_key(ed448));
	assert_false(fips_approves_key(NULL));
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(ed25519);
	EVP_PKEY_free(ed448);
}

/* Last: what is refused leaves OpenSSL as it may be. */
static void required_without_a_provider(void **state)
{
	struct fips_provider provider;
	struct err err = { .msg = "" };

	(void)state;
	assert_false(fips_is_on());
	assert_false(fips_find(&provider));
	assert_int_equal(fips_require(&err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "FIPS provider is not active by /dev/null"));
	assert_false(fips_is_on());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),
		cmocka_unit_test(required_without_a_provider),
	};

	if (setenv("OPENSSL_CONF", "/dev/null", 1))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
