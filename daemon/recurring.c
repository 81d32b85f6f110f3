/* What goes wrong again and again; see recurring.h. */
#include "recurring.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TROUBLES = 256, /* beyond that the oldest is forgotten, and told again */
	TEXT_SIZE = 200,
	FIRST_MS = 60 * 1000,
	LONGEST_MS = 60 * 60 * 1000,
};

struct trouble {
	char subject[TEXT_SIZE]; /* "": free */
	char reason[TEXT_SIZE];
	int64_t told_ms;
	int64_t pause_ms;
};

struct recurring {
	pthread_mutex_t mutex;
	struct trouble troubles[TROUBLES];
};

struct recurring *recurring_new(struct err *err)
{
	struct recurring *recurring = calloc(1, sizeof(*recurring));

	if (!recurring)
		(void)err_set_sys(err, ENOMEM, "list of troubles");
	else
		(void)pthread_mutex_init(&recurring->mutex, NULL);
	return recurring;
}

void recurring_free(struct recurring *recurring)
{
	if (!recurring)
		return;
	(void)pthread_mutex_destroy(&recurring->mutex);
	free(recurring);
}

/* The trouble with a subject, or else the place to note it: a free one or the oldest. */
static struct trouble *find(struct recurring *recurring, const char *subject)
{
	struct trouble *best = &recurring->troubles[0];

	for (size_t i = 0; i < TROUBLES; i++) {
		struct trouble *trouble = &recurring->troubles[i];

		if (!strncmp(trouble->subject, subject, TEXT_SIZE - 1))
			return trouble;
		if (*best->subject && (!*trouble->subject || trouble->told_ms < best->told_ms))
			best = trouble;
	}
	return best;
}

/* Whether what follows a number makes it a measure, which is another one each time. */
static bool is_measure(const char *behind)
{
	static const char *const units[] = { " ms", " milliseconds", " seconds", " bytes",
		                             " out of " };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strncmp(behind, units[i], strlen(units[i])))
			return true;
	return false;
}

/* Whether the reason that was noted, cut to what fits, is this one. */
static bool is_same_reason(const char *noted, const char *reason)
{
	static const char digits[] = "0123456789";
	const char *end = noted + TEXT_SIZE - 1;

	while (*noted && *reason) {
		size_t a = strspn(noted, digits), b = strspn(reason, digits);

		if (!a != !b || (!a && *noted != *reason))
			return false;
		if (a && (a != b || memcmp(noted, reason, a)) && noted + a < end &&
		    (!is_measure(noted + a) || !is_measure(reason + b)))
			return false;
		noted += a ? a : 1;
		reason += b ? b : 1;
	}
	return noted == end || *noted == *reason;
}

bool recurring_happened(struct recurring *recurring, const char *subject, const char *reason,
                        int64_t now_ms)
{
	struct trouble *trouble;
	bool tell = true;

	(void)pthread_mutex_lock(&recurring->mutex);
	trouble = find(recurring, subject);
	if (!strncmp(trouble->subject, subject, TEXT_SIZE - 1) &&
	    is_same_reason(trouble->reason, reason)) {
		tell = now_ms - trouble->told_ms >= trouble->pause_ms;
		if (tell && trouble->pause_ms < LONGEST_MS)
			trouble->pause_ms *= 2;
	} else {
		(void)snprintf(trouble->subject, TEXT_SIZE, "%s", subject);
		(void)snprintf(trouble->reason, TEXT_SIZE, "%s", reason);
		trouble->pause_ms = FIRST_MS;
	}
	if (tell)
		trouble->told_ms = now_ms;
	(void)pthread_mutex_unlock(&recurring->mutex);
	return tell;
}

bool recurring_over(struct recurring *recurring, const char *subject)
{
	struct trouble *trouble;
	bool was;

	(void)pthread_mutex_lock(&recurring->mutex);
	trouble = find(recurring, subject);
	was = *subject && !strncmp(trouble->subject, subject, TEXT_SIZE - 1);
	if (was)
		*trouble = (struct trouble){ .subject = "" };
	(void)pthread_mutex_unlock(&recurring->mutex);
	return was;
}
