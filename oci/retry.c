/* When to ask again; see retry.h. */
#include "oci/retry.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <curl/curl.h>

#include "base/clock.h"
#include "oci/limits.h"
#include "oci/oci.h"

bool retry_may_help(const struct err *err)
{
	bool is_lasting = err->cause >= OCI_CAUSE_TLS_UNTRUSTED &&
	                  err->cause <= OCI_CAUSE_TLS_HANDSHAKE;

	return err->kind == ERR_NETWORK && !is_lasting;
}

static int64_t bounded_ms(int64_t seconds)
{
	if (seconds <= 0)
		return 0;
	return 1000 * (seconds < LIMIT_RETRY_AFTER_S ? seconds : LIMIT_RETRY_AFTER_S);
}

int64_t retry_after_ms(const char *value, const char *date)
{
	size_t digits = strspn(value, "0123456789");
	time_t then, now;

	if (digits && !value[digits])
		return bounded_ms(digits > 9 ? LIMIT_RETRY_AFTER_S : strtol(value, NULL, 10));
	then = curl_getdate(value, NULL);
	if (digits || then < 0)
		return 0;
	now = date ? curl_getdate(date, NULL) : -1;
	return bounded_ms((int64_t)then - (int64_t)(now < 0 ? time(NULL) : now));
}

int64_t retry_pause_ms(unsigned attempt, int64_t least_ms)
{
	int64_t most = (int64_t)RETRY_BASE_MS << (attempt < 10 ? attempt : 10);
	uint32_t random = 0;
	int64_t pause = most;

	/* Without randomness it is the longest pause, which is no harm. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) == sizeof(random))
		pause = (int64_t)(random % (uint64_t)(most + 1));
	return pause > least_ms ? pause : least_ms;
}

int retry_wait(const struct cancel *cancel, int64_t pause_ms, struct err *err)
{
	const int64_t until_ms = clock_now_ms() + pause_ms;
	struct pollfd stop = { .fd = cancel_fd(cancel), .events = POLLIN };
	int64_t left;

	while ((left = until_ms - clock_now_ms()) > 0 && !cancel_is_raised(cancel)) {
		if (poll(&stop, 1, left < LIMIT_POLL_MS ? (int)left : LIMIT_POLL_MS) < 0 &&
		    errno != EINTR)
			return err_set_sys(err, errno, "wait before asking again");
	}
	return cancel_check(cancel, err);
}
