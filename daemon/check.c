/* All that can be checked, in order; see check.h. */
#include "check.h"

#include <signal.h>
#include <stdio.h>

#include <curl/curl.h>

#include "base/cancel.h"
#include "check_steps.h"

static struct cancel *on_signal; /* a signal handler has no other way to it */

static void handle_signal(int number)
{
	(void)number;
	cancel_raise(on_signal);
}

static int catch_signals(struct err *err)
{
	struct sigaction stop = { .sa_handler = handle_signal };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	(void)sigemptyset(&stop.sa_mask);
	(void)sigemptyset(&ignore.sa_mask);
	if (sigaction(SIGINT, &stop, NULL) || sigaction(SIGTERM, &stop, NULL) ||
	    sigaction(SIGPIPE, &ignore, NULL))
		return err_set(err, ERR_IO, "signals can't be handled");
	return 0;
}

static int check_with_openssl(struct check *check, struct err *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return err_set(err, ERR_IO, "libcurl does not start");
	check_certificate(check);
	check_clients(check);
	check_clock(check);
	check_signers(check);
	check_sources(check);
	curl_global_cleanup();
	return 0;
}

static void check_without(struct check *check)
{
	report_skip(check, "certificate", "needs OpenSSL");
	report_skip(check, "client CA", "needs OpenSSL");
	report_skip(check, "users", "needs OpenSSL");
	report_skip(check, "hook", "needs OpenSSL");
	check_clock(check);
	report_skip(check, "registry", "needs OpenSSL");
}

int check_run(const struct config *config, bool *out_fine, struct err *err)
{
	struct cancel *cancel = on_signal = cancel_new(err); /* for good: a signal may still come */
	struct check check = { .config = config, .cancel = cancel };
	bool usable;

	if (!cancel || catch_signals(err))
		return -1;
	report_ok(&check, "configuration", "understood; in effect is");
	config_print(config, stdout);
	usable = check_openssl(&check);
	check_secret(&check);
	check_disk(&check);
	if (!usable)
		check_without(&check);
	else if (check_with_openssl(&check, err))
		return -1;
	report_sum(&check);
	oci_keys_free(check.keys);
	*out_fine = !check.failed && !cancel_is_raised(cancel);
	return 0;
}
