/* What goes wrong again and again; see recurring.h. */
#include "recurring.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TROUBLES = 256, /* beyond that the one not met for longest is forgotten, and told again */
	TEXT_SIZE = RECURRING_TEXT_SIZE,
	FIRST_MS = 60 * 1000,
	LONGEST_MS = 60 * 60 * 1000,
};

struct trouble {
	char subject[TEXT_SIZE]; /* "": free */
	char reason[TEXT_SIZE];
	int64_t told_ms;
	int64_t pause_ms;
	int64_t met_ms;  /* told or not */
	bool is_changed; /* what it depends on: the next time is the first */
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

/* The trouble with a subject, or else the place to note it: a free one, or that of the one not met
 * for longest. */
static struct trouble *find(struct recurring *recurring, const char *subject)
{
	struct trouble *best = &recurring->troubles[0];

	for (size_t i = 0; i < TROUBLES; i++) {
		struct trouble *trouble = &recurring->troubles[i];

		if (!strncmp(trouble->subject, subject, TEXT_SIZE - 1))
			return trouble;
		if (*best->subject && (!*trouble->subject || trouble->met_ms < best->met_ms))
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

static bool is_about(const struct trouble *trouble, const char *subject)
{
	return *subject && !strncmp(trouble->subject, subject, TEXT_SIZE - 1);
}

/* Whether what goes on is to be told again. */
static bool meet_again(struct trouble *trouble, int64_t now_ms)
{
	bool tell = now_ms - trouble->told_ms >= trouble->pause_ms;

	if (tell && trouble->pause_ms < LONGEST_MS)
		trouble->pause_ms *= 2;
	if (tell)
		trouble->told_ms = now_ms;
	trouble->met_ms = now_ms;
	return tell;
}

bool recurring_happened(struct recurring *recurring, const char *subject, const char *reason,
                        int64_t now_ms)
{
	struct trouble *trouble;
	bool tell = true;

	(void)pthread_mutex_lock(&recurring->mutex);
	trouble = find(recurring, subject);
	if (is_about(trouble, subject) && !trouble->is_changed &&
	    is_same_reason(trouble->reason, reason)) {
		tell = meet_again(trouble, now_ms);
	} else {
		*trouble = (struct trouble){ .told_ms = now_ms,
			                     .pause_ms = FIRST_MS,
			                     .met_ms = now_ms };
		(void)snprintf(trouble->subject, TEXT_SIZE, "%s", subject);
		(void)snprintf(trouble->reason, TEXT_SIZE, "%s", reason);
	}
	(void)pthread_mutex_unlock(&recurring->mutex);
	return tell;
}

bool recurring_stays(struct recurring *recurring, const char *subject, int64_t now_ms)
{
	struct trouble *trouble;
	bool tell;

	(void)pthread_mutex_lock(&recurring->mutex);
	trouble = find(recurring, subject);
	tell = is_about(trouble, subject) && meet_again(trouble, now_ms);
	(void)pthread_mutex_unlock(&recurring->mutex);
	return tell;
}

/* Whether it is one of a kind of subjects. */
static bool is_of(const struct trouble *trouble, const char *kind)
{
	return *trouble->subject && !strncmp(trouble->subject, kind, strlen(kind));
}

void recurring_renew(struct recurring *recurring, const char *kind)
{
	(void)pthread_mutex_lock(&recurring->mutex);
	for (size_t i = 0; i < TROUBLES; i++)
		if (is_of(&recurring->troubles[i], kind))
			recurring->troubles[i].is_changed = true;
	(void)pthread_mutex_unlock(&recurring->mutex);
}

bool recurring_sweep(struct recurring *recurring, const char *kind, int64_t since_ms,
                     char out_subject[static RECURRING_TEXT_SIZE])
{
	size_t i = 0;

	(void)pthread_mutex_lock(&recurring->mutex);
	while (i < TROUBLES &&
	       (!is_of(&recurring->troubles[i], kind) || recurring->troubles[i].met_ms >= since_ms))
		i++;
	if (i < TROUBLES) {
		memcpy(out_subject, recurring->troubles[i].subject, TEXT_SIZE);
		recurring->troubles[i] = (struct trouble){ .subject = "" };
	}
	(void)pthread_mutex_unlock(&recurring->mutex);
	return i < TROUBLES;
}

bool recurring_over(struct recurring *recurring, const char *subject)
{
	struct trouble *trouble;
	bool was;

	(void)pthread_mutex_lock(&recurring->mutex);
	trouble = find(recurring, subject);
	was = is_about(trouble, subject);
	if (was)
		*trouble = (struct trouble){ .subject = "" };
	(void)pthread_mutex_unlock(&recurring->mutex);
	return was;
}
