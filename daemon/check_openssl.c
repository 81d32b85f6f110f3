/* OpenSSL and its FIPS provider; see check_steps.h. */
#include "check_steps.h"

#include <openssl/crypto.h>

#include "advice.h"
#include "base/fips.h"

static const char step[] = "OpenSSL";

bool check_openssl(struct check *check)
{
	const char *openssl = OpenSSL_version(OPENSSL_VERSION);
	struct fips_provider provider;
	struct err err;

	if (check->config->fips && fips_require(&err)) {
		(void)err_cause(&err, ADVICE_FIPS);
		report_failure(check, step, &err);
		return false;
	}
	if (!fips_find(&provider))
		report_ok(check, step, "%s, without a FIPS provider", openssl);
	else
		report_ok(check, step, "%s, %s %s active, %s", openssl, provider.name,
		          provider.version,
		          fips_is_on() ? "approved algorithms alone"
		                       : "other algorithms as well (no --fips)");
	return true;
}
