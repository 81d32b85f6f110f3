/* FIPS mode; see fips.h. */
#include "base/fips.h"

#include <stdio.h>
#include <string.h>

#include <openssl/conf.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/self_test.h>
#include <openssl/x509.h>

enum { TEST_NAME_SIZE = 96 };

static const char provider_name[] = "fips";

/* The process' own hold on both, for as long as it lives: a configuration need not activate them.
 */
static struct {
	OSSL_PROVIDER *fips, *base;
} held;

/* ---- who gives an algorithm: the provider's name, NULL when nobody does ---- */

static const char *digest_from(const char *algorithm)
{
	EVP_MD *digest = EVP_MD_fetch(NULL, algorithm, NULL);
	const char *from = digest ? OSSL_PROVIDER_get0_name(EVP_MD_get0_provider(digest)) : NULL;

	EVP_MD_free(digest);
	return from;
}

static const char *cipher_from(const char *algorithm)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, algorithm, NULL);
	const char *from = cipher ? OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(cipher))
	                          : NULL;

	EVP_CIPHER_free(cipher);
	return from;
}

static const char *random_from(const char *algorithm)
{
	EVP_RAND *random = EVP_RAND_fetch(NULL, algorithm, NULL);
	const char *from = random ? OSSL_PROVIDER_get0_name(EVP_RAND_get0_provider(random)) : NULL;

	EVP_RAND_free(random);
	return from;
}

static int prove(struct err *err)
{
	static const struct {
		const char *(*from)(const char *algorithm);
		const char *algorithm;
		bool approved;
	} rows[] = {
		{ digest_from, "SHA2-256", true },    { digest_from, "SHA2-512", true },
		{ cipher_from, "AES-128-GCM", true }, { cipher_from, "AES-256-GCM", true },
		{ cipher_from, "AES-256-CBC", true }, { random_from, "CTR-DRBG", true },
		{ digest_from, "MD5", false },        { cipher_from, "ChaCha20-Poly1305", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *from = rows[i].from(rows[i].algorithm);

		if (rows[i].approved && (!from || strcmp(from, provider_name) != 0))
			return err_set(err, ERR_CONFIG,
			               "OpenSSL's FIPS provider does not give %s (%s%s)",
			               rows[i].algorithm, from ? "given by " : "nobody does",
			               from ? from : "");
		if (!rows[i].approved && from)
			return err_set(err, ERR_CONFIG,
			               "OpenSSL gives %s, which is not approved (given by %s)",
			               rows[i].algorithm, from);
	}
	ERR_clear_error(); /* of what nobody gave */
	return 0;
}

/* ---- the mode ---- */

/* The queue's errors, oldest first: which file, and what was wrong with it. */
static int refuse(const char *what, struct err *err)
{
	char reasons[320] = "";
	const char *data;
	unsigned long code;
	int flags;

	while ((code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags))) {
		const char *reason = ERR_reason_error_string(code);
		size_t used = strlen(reasons);
		bool has_data = (flags & ERR_TXT_STRING) && data && *data;

		(void)snprintf(reasons + used, sizeof(reasons) - used, "%s%s%s%s",
		               used ? ", " : ": ", reason ? reason : "error", has_data ? " " : "",
		               has_data ? data : "");
	}
	return err_set(err, ERR_CONFIG, "%s%s", what, reasons);
}

/* OSSL_SELF_TEST_new(3): notes the first test that fails, as "Module_Integrity, HMAC". */
static int on_self_test(const OSSL_PARAM params[], void *ctx)
{
	static const char *const keys[] = { OSSL_PROV_PARAM_SELF_TEST_PHASE,
		                            OSSL_PROV_PARAM_SELF_TEST_TYPE,
		                            OSSL_PROV_PARAM_SELF_TEST_DESC };
	const char *texts[3] = { "", "", "" };
	char *failed = ctx;

	for (size_t i = 0; i < 3; i++) {
		const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, keys[i]);

		if (param && param->data_type == OSSL_PARAM_UTF8_STRING)
			texts[i] = param->data;
	}
	if (!*failed && !strcmp(texts[0], OSSL_SELF_TEST_PHASE_FAIL))
		(void)snprintf(failed, TEST_NAME_SIZE, "%s, %s", texts[1], texts[2]);
	return 1;
}

/*
 * OpenSSL is silent about a provider that its configuration names and that does
 * not load; what is tried after that fails for reasons that mislead.
 */
static int load(struct err *err)
{
	char failed[TEST_NAME_SIZE] = "";
	char *config = CONF_get1_default_config_file();

	OSSL_SELF_TEST_set_callback(NULL, on_self_test, failed);
	held.fips = OSSL_PROVIDER_load(NULL, provider_name);
	OSSL_SELF_TEST_set_callback(NULL, NULL, NULL);
	if (*failed)
		(void)err_set(err, ERR_CONFIG, "its self-test %s fails", failed);
	else if (!held.fips)
		(void)refuse("it can't be loaded", err);
	if (*failed || !held.fips)
		(void)err_context(err, "OpenSSL's FIPS provider is not active by %s",
		                  config ? config : "a configuration");
	OPENSSL_free(config);
	return *failed || !held.fips ? -1 : 0;
}

int fips_require(struct err *err)
{
	ERR_clear_error();
	if (load(err))
		return -1;
	if (OSSL_PROVIDER_self_test(held.fips) != 1)
		return refuse("OpenSSL's FIPS provider fails its self-tests", err);
	/* Reads certificates and keys, and has no cryptography. */
	held.base = OSSL_PROVIDER_load(NULL, "base");
	if (!held.base)
		return refuse("OpenSSL's base provider can't be loaded", err);
	if (EVP_default_properties_enable_fips(NULL, 1) != 1)
		return refuse("OpenSSL can't be bound to its FIPS provider", err);
	return prove(err);
}

bool fips_is_on(void)
{
	return EVP_default_properties_is_fips_enabled(NULL) == 1;
}

static void read_about(const OSSL_PROVIDER *provider, struct fips_provider *about)
{
	const char *name = provider_name, *version = "?";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_ptr(OSSL_PROV_PARAM_NAME, (char **)(uintptr_t)&name, 0),
		OSSL_PARAM_construct_utf8_ptr(OSSL_PROV_PARAM_VERSION, (char **)(uintptr_t)&version,
		                              0),
		OSSL_PARAM_construct_end(),
	};

	/* What it does not say stays as it is. */
	(void)OSSL_PROVIDER_get_params(provider, params);
	(void)snprintf(about->name, sizeof(about->name), "%s", name);
	(void)snprintf(about->version, sizeof(about->version), "%s", version);
}

bool fips_find(struct fips_provider *out_provider)
{
	struct fips_provider about = { .name = "", .version = "" };
	OSSL_PROVIDER *provider;

	/* Loading what is not active would make it so. */
	if (OSSL_PROVIDER_available(NULL, provider_name) != 1)
		return false;
	provider = OSSL_PROVIDER_load(NULL, provider_name);
	if (!provider)
		return false;
	read_about(provider, &about);
	(void)OSSL_PROVIDER_unload(provider);
	*out_provider = about;
	return true;
}

/* ---- certificates ---- */

bool fips_approves_key(const EVP_PKEY *key)
{
	return key && (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS") ||
	               EVP_PKEY_is_a(key, "EC"));
}

int fips_verify(X509_STORE_CTX *store, void *ctx)
{
	int good = X509_verify_cert(store);
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);

	(void)ctx;
	for (int i = 0; good == 1 && fips_is_on() && i < sk_X509_num(chain); i++)
		if (!fips_approves_key(X509_get0_pubkey(sk_X509_value(chain, i)))) {
			X509_STORE_CTX_set_error_depth(store, i);
			X509_STORE_CTX_set_error(store, X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM);
			good = 0;
		}
	return good;
}
