/* Who may ask: client certificates, users with passwords, webhooks; see check_steps.h. */
#include "check_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "advice.h"
#include "base/cleanup.h"
#include "hook.h"
#include "htpasswd.h"
#include "tls/tls.h"

enum { LINES_MAX = 20 };

static int check_readable(const char *flag, const char *path, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		return 0;
	(void)err_set_sys(err, errno, "%s %s", flag, path);
	return err_cause(err, ADVICE_FILE_UNREADABLE);
}

/* ---- client certificates ---- */

static int read_client_ca(const char *file, struct tls_client_ca *ca, struct err *err)
{
	if (check_readable("--tls-client-ca", file, err))
		return -1;
	if (tls_client_ca_read(file, ca, err))
		return err_cause(err, ADVICE_CLIENT_CA_BAD);
	if (ca->not_ca + ca->expired < ca->count)
		return 0;
	(void)err_set(err, ERR_CONFIG,
	              "no client can be let in by %s: of its %u certificates %u are no CA's and %u "
	              "have expired",
	              file, ca->count, ca->not_ca, ca->expired);
	return err_cause(err, ADVICE_CLIENT_CA_UNFIT);
}

static void check_client_ca(struct check *check)
{
	static const char step[] = "client CA";
	const char *file = check->config->tls_client_ca;
	struct tls_client_ca ca;
	char day[32] = "?";
	struct tm tm;
	struct err err;
	time_t end;

	if (!file) {
		report_ok(check, step, "none is given: clients need no certificate");
		return;
	}
	if (read_client_ca(file, &ca, &err)) {
		report_failure(check, step, &err);
		return;
	}
	end = (time_t)ca.not_after;
	if (gmtime_r(&end, &tm))
		(void)strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	if (ca.not_ca || ca.expired)
		report_warning(
			check, step, ADVICE_CLIENT_CA_UNFIT,
			"%s has %u certificates, of which %u are no CA's and %u have expired", file,
			ca.count, ca.not_ca, ca.expired);
	else
		report_ok(check, step, "%s has %u, good until %s; a client %s", file, ca.count, day,
		          check->config->tls_client_auth == TLS_CLIENT_AUTH_REQUIRE
		                  ? "has to show a certificate"
		                  : "may show a certificate");
}

/* ---- users ---- */

struct bad_lines {
	unsigned count;
	unsigned numbers[LINES_MAX];
	struct err why[LINES_MAX];
};

static void note_bad_line(void *ctx, unsigned line, const char *why)
{
	struct bad_lines *bad = ctx;

	if (bad->count < LINES_MAX) {
		bad->numbers[bad->count] = line;
		(void)err_set(&bad->why[bad->count], ERR_CONFIG, "%s", why);
	}
	bad->count++;
}

static void fail_users(struct check *check, const char *step, const char *file,
                       const struct bad_lines *bad)
{
	struct err err;

	(void)err_set(&err, ERR_CONFIG,
	              "%s: %u lines can't be used, of which the first is line %u: %s", file,
	              bad->count, bad->numbers[0], bad->why[0].msg);
	(void)err_cause(&err, ADVICE_USERS);
	report_failure(check, step, &err);
	for (unsigned i = 1; i < bad->count && i < LINES_MAX; i++)
		report_detail("line %u: %s", bad->numbers[i], bad->why[i].msg);
}

static void check_users(struct check *check)
{
	static const char step[] = "users";
	const char *file = check->config->htpasswd;
	struct bad_lines bad = { .count = 0 };
	struct htpasswd_survey survey;
	struct err err;

	if (!file) {
		report_ok(check, step, "no --htpasswd is given: nobody is asked for a password");
		return;
	}
	if (check_readable("--htpasswd", file, &err)) {
		report_failure(check, step, &err);
		return;
	}
	if (htpasswd_look(file, note_bad_line, &bad, &survey, &err)) {
		(void)err_cause(&err, ADVICE_USERS);
		report_failure(check, step, &err);
	} else if (bad.count) {
		fail_users(check, step, file, &bad);
	} else if (!(survey.bcrypt + survey.sha256 + survey.sha512)) {
		(void)err_set(&err, ERR_CONFIG, "%s: there is no user", file);
		(void)err_cause(&err, ADVICE_USERS);
		report_failure(check, step, &err);
	} else {
		report_ok(check, step,
		          "%s has %u: %u by bcrypt, %u by SHA-256-crypt, %u by SHA-512-crypt", file,
		          survey.bcrypt + survey.sha256 + survey.sha512, survey.bcrypt,
		          survey.sha256, survey.sha512);
	}
}

/* ---- webhooks ---- */

static void check_hook(struct check *check)
{
	static const char step[] = "hook";
	const char *file = check->config->hook_token_file;
	struct err err;

	if (!file)
		report_ok(check, step, "no --hook-token-file is given: nobody may ask for a sync");
	else if (hook_check_token(file, &err))
		report_failure(check, step, &err);
	else
		report_ok(check, step, "%s has a token", file);
}

void check_clients(struct check *check)
{
	check_client_ca(check);
	check_users(check);
	check_hook(check);
}
