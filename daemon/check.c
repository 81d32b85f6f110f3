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

int check_run(const struct config *config, bool *out_fine, struct err *err)
{
	struct cancel *cancel = on_signal = cancel_new(err); /* for good: a signal may still come */
	struct check check = { .config = config, .cancel = cancel };

	if (!cancel || catch_signals(err))
		return -1;
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return err_set(err, ERR_IO, "libcurl does not start");
	report_ok(&check, "configuration", "understood; in effect is");
	config_print(config, stdout);
	check_secret(&check);
	check_disk(&check);
	check_certificate(&check);
	check_clients(&check);
	check_clock(&check);
	check_signers(&check);
	check_sources(&check);
	report_sum(&check);
	oci_keys_free(check.keys);
	curl_global_cleanup();
	*out_fine = !check.failed && !cancel_is_raised(cancel);
	return 0;
}
