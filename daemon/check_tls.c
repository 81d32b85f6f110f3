/* The certificate that clients are shown; see check_steps.h. */
#include "check_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

#include "advice.h"
#include "base/cleanup.h"
#include "tls/tls.h"

static const char step[] = "certificate";
static const char service[] = "specman-service.hubble-system.svc.cluster.local";

enum { DAY = 24 * 60 * 60, SOON_DAYS = 14 };

static int check_readable(const char *flag, const char *path, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		return 0;
	(void)err_set_sys(err, errno, "%s %s", flag, path);
	return err_cause(err, ADVICE_CERT_UNREADABLE);
}

static int read_certificate(const char *cert, const char *key, struct tls_certificate *certificate,
                            struct err *err)
{
	static const enum advice_cause causes[] = {
		[TLS_CAUSE_NONE] = ADVICE_CERT_BAD,     [TLS_CAUSE_CERTIFICATE] = ADVICE_CERT_BAD,
		[TLS_CAUSE_KEY] = ADVICE_KEY_BAD,       [TLS_CAUSE_OTHER_KEY] = ADVICE_KEY_OTHER,
		[TLS_CAUSE_KEY_KIND] = ADVICE_KEY_KIND,
	};

	if (!tls_certificate_read(cert, key, service, certificate, err))
		return 0;
	return err_cause(err, (int)causes[err->cause]);
}

static const char *format_day(int64_t seconds, char text[static 32])
{
	time_t at = seconds;
	struct tm tm;

	if (!gmtime_r(&at, &tm) || !strftime(text, 32, "%Y-%m-%d %H:%M UTC", &tm))
		(void)snprintf(text, 32, "%lld", (long long)at);
	return text;
}

/* 0, or -1 with err saying why clients refuse it now. */
static int check_time(const char *cert, const struct tls_certificate *certificate, struct err *err)
{
	int64_t now = time(NULL);
	char day[32];

	if (certificate->not_after < now) {
		(void)err_set(err, ERR_CONFIG, "%s expired at %s", cert,
		              format_day(certificate->not_after, day));
		return err_cause(err, ADVICE_CERT_EXPIRED);
	}
	if (certificate->not_before > now) {
		(void)err_set(err, ERR_CONFIG, "%s is not valid before %s", cert,
		              format_day(certificate->not_before, day));
		return err_cause(err, ADVICE_CERT_NOT_YET_VALID);
	}
	return 0;
}

static void check_given(struct check *check)
{
	const char *cert = check->config->tls_cert, *key = check->config->tls_key;
	struct tls_certificate certificate;
	bool is_ending;
	struct err err;
	char day[32];

	if (check_readable("--tls-cert", cert, &err) || check_readable("--tls-key", key, &err) ||
	    read_certificate(cert, key, &certificate, &err) ||
	    check_time(cert, &certificate, &err)) {
		report_failure(check, step, &err);
		return;
	}
	(void)format_day(certificate.not_after, day);
	is_ending = certificate.not_after - time(NULL) < SOON_DAYS * DAY;
	if (is_ending)
		report_warning(check, step, ADVICE_CERT_EXPIRES_SOON, "%s expires at %s", cert,
		               day);
	if (!certificate.has_name)
		report_warning(check, step, ADVICE_CERT_OTHER_NAME, "%s is not for %s", cert,
		               service);
	if (certificate.has_name && !is_ending)
		report_ok(check, step, "%s is for %s, and good until %s", cert, service, day);
}

/* The CA alone is never replaced; what it issues is made anew when it has to be. */
static void check_self_made(struct check *check)
{
	const char *dir = check->config->data_dir;
	char cert[PATH_MAX], key[PATH_MAX], day[32];
	struct tls_certificate certificate;
	struct err err;

	(void)snprintf(cert, sizeof(cert), "%s/tls/ca.crt", dir);
	(void)snprintf(key, sizeof(key), "%s/tls/ca.key", dir);
	if (access(cert, F_OK) && (errno == ENOENT || errno == ENOTDIR)) {
		report_ok(check, step,
		          "none is given: one of an own CA is made at the first start");
		return;
	}
	if (check_readable("the own CA", cert, &err) || check_readable("its key", key, &err) ||
	    read_certificate(cert, key, &certificate, &err)) {
		(void)err_cause(&err, err.sys == EACCES ? ADVICE_DATA_DIR_UNWRITABLE
		                                        : ADVICE_SELF_MADE_BROKEN);
		report_failure(check, step, &err);
		return;
	}
	report_ok(check, step, "one of the own CA %s (specman ca prints it), good until %s", cert,
	          format_day(certificate.not_after, day));
}

void check_certificate(struct check *check)
{
	if (check->config->tls_cert)
		check_given(check);
	else
		check_self_made(check);
}
