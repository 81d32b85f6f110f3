/* How the daemon is; see overview.h. */
#include "overview.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "advice.h"
#include "base/clock.h"
#include "certificate.h"

enum {
	MINUTE = 60,
	HOUR = 60 * MINUTE,
	DAY = 24 * HOUR,
	LOW_PERCENT = 15, /* a disk with more room than that is never low */
};

struct overviews {
	struct overview_sources from;
	pthread_mutex_t mutex; /* guards the shares of the last view, which are counted once */
	char view_id[DIGEST_TEXT_SIZE];
	struct store_share *shares;
	size_t share_count;
};

struct overviews *overviews_new(const struct overview_sources *sources, struct err *err)
{
	struct overviews *overviews = calloc(1, sizeof(*overviews));

	if (!overviews) {
		(void)err_set_sys(err, ENOMEM, "overview");
		return NULL;
	}
	overviews->from = *sources;
	(void)pthread_mutex_init(&overviews->mutex, NULL);
	return overviews;
}

void overviews_free(struct overviews *overviews)
{
	if (!overviews)
		return;
	(void)pthread_mutex_destroy(&overviews->mutex);
	free(overviews->shares);
	free(overviews);
}

const char *overview_state_name(enum overview_state state)
{
	static const char *const names[] = {
		[OVERVIEW_HEALTHY] = "healthy", [OVERVIEW_ATTENTION] = "attention",
		[OVERVIEW_WAITING] = "waiting", [OVERVIEW_STARTING] = "starting",
		[OVERVIEW_NOTHING] = "nothing", [OVERVIEW_STOPPING] = "stopping",
	};

	return names[state];
}

/* ---- words ---- */

const char *overview_count(char text[static 48], uint64_t count, const char *one, const char *many)
{
	(void)snprintf(text, 48, "%" PRIu64 " %s", count, count == 1 ? one : many);
	return text;
}

const char *overview_span(char text[static 48], int64_t seconds)
{
	if (seconds < 0)
		seconds = 0;
	if (seconds < 2 * MINUTE)
		return overview_count(text, (uint64_t)seconds, "second", "seconds");
	if (seconds < 2 * HOUR)
		return overview_count(text, (uint64_t)(seconds / MINUTE), "minute", "minutes");
	if (seconds < 2 * DAY)
		return overview_count(text, (uint64_t)(seconds / HOUR), "hour", "hours");
	return overview_count(text, (uint64_t)(seconds / DAY), "day", "days");
}

const char *overview_when(char text[static 64], int64_t now, int64_t at)
{
	char span[48];

	if (at > now)
		(void)snprintf(text, 64, "in %s", overview_span(span, at - now));
	else if (now - at < 2)
		(void)snprintf(text, 64, "just now");
	else
		(void)snprintf(text, 64, "%s ago", overview_span(span, now - at));
	return text;
}

const char *overview_time(char text[static 32], int64_t at)
{
	time_t time = at;
	struct tm utc;

	if (!at || !gmtime_r(&time, &utc) || !strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc))
		*text = '\0';
	return text;
}

/* ---- for probes ---- */

bool overviews_is_stopping(const struct overviews *overviews)
{
	return atomic_load(overviews->from.stopping);
}

bool overviews_workers_turn(const struct overviews *overviews)
{
	return tls_server_is_turning(overviews->from.server, OVERVIEW_LIVE_MS);
}

static int64_t sync_turned_ms(const struct overviews *overviews)
{
	return clock_now_ms() - cancel_heeded_ms(overviews->from.sync_cancel);
}

bool overviews_sync_turns(const struct overviews *overviews)
{
	return sync_turned_ms(overviews) < OVERVIEW_SYNC_LIVE_MS;
}

size_t overviews_releases(const struct overviews *overviews)
{
	struct store_view *view = store_view_get(overviews->from.store);
	size_t count = store_view_release_count(view);

	store_view_put(view);
	return count;
}

/* ---- what is served ---- */

/* The shares of a view, counted anew only when it is another than the last one. */
static int take_shares(struct overviews *overviews, struct overview *overview, struct err *err)
{
	size_t count = store_view_release_count(overview->view);
	const char *id = store_view_id(overview->view);
	struct store_share *shares = calloc(count + 1, sizeof(*shares));

	if (!shares)
		return err_set_sys(err, ENOMEM, "%zu releases", count);
	overview->shares = shares;
	(void)pthread_mutex_lock(&overviews->mutex);
	if (overviews->shares && !strcmp(overviews->view_id, id)) {
		memcpy(shares, overviews->shares, count * sizeof(*shares));
	} else {
		struct store_share *kept = calloc(count + 1, sizeof(*kept));

		store_view_share_out(overview->view, shares);
		free(overviews->shares);
		overviews->shares = kept;
		if (kept)
			memcpy(kept, shares, count * sizeof(*kept));
		(void)snprintf(overviews->view_id, sizeof(overviews->view_id), "%s", id);
	}
	(void)pthread_mutex_unlock(&overviews->mutex);
	for (size_t i = 0; i < count; i++) {
		overview->served.files += shares[i].files;
		overview->served.bytes += shares[i].bytes;
	}
	if (count)
		overview->bytes_newest = store_view_release(overview->view, count - 1)->bytes;
	return 0;
}

/* ---- what is to be done ---- */

static struct overview_need *add_need(struct overview *overview, bool is_error, const char *subject,
                                      const char *what, int cause)
{
	struct overview_need *need = &overview->needs[overview->need_count];

	if (overview->need_count == OVERVIEW_NEEDS_MAX)
		return NULL;
	overview->need_count++;
	*need = (struct overview_need){ .is_error = is_error, .cause = cause };
	(void)snprintf(need->subject, sizeof(need->subject), "%s", subject);
	(void)snprintf(need->what, sizeof(need->what), "%s", what);
	return need;
}

static void need_of_trouble(struct overview *overview, const struct status_trouble *trouble)
{
	struct overview_need *need = add_need(overview, !trouble->is_warning, trouble->subject,
	                                      trouble->what, trouble->cause);

	if (!need)
		return;
	need->is_tag = trouble->is_tag;
	need->since = trouble->since;
	need->last = trouble->last;
	need->times = trouble->times;
	(void)snprintf(need->why, sizeof(need->why), "%s", trouble->error);
}

static void judge_round(struct overview *overview)
{
	const struct status_snapshot *status = &overview->status;
	size_t count = store_view_release_count(overview->view);
	struct overview_need *need;
	const char *why;

	if (!status->round_ended_at || (count && status->result != SYNC_WAITING))
		return;
	if (status->result == SYNC_WAITING)
		need = add_need(overview, false, "secret", "Waiting for the registry secret",
		                ADVICE_NO_REPOSITORY);
	else if (status->result == SYNC_DONE && !status->trouble_count)
		need = add_need(overview, true, "repository", "No release in the repository",
		                ADVICE_REPOSITORY_EMPTY);
	else
		return;
	if (!need)
		return;
	/* "Waiting for the registry secret: neither …" */
	why = strstr(status->reason, ": ");
	(void)snprintf(need->why, sizeof(need->why), "%s", why ? why + 2 : status->reason);
}

static void judge_disk(struct overview *overview)
{
	const struct status_snapshot *status = &overview->status;
	struct overview_need *need = NULL;

	if (!status->disk_at)
		return;
	if (status->disk_free > overview->disk_reserve)
		overview->disk_room = status->disk_free - overview->disk_reserve;
	overview->is_disk_full = !overview->disk_room;
	/* Releases share what they have in common, so a small one may fit still. */
	overview->is_disk_low = overview->is_disk_full ||
	                        (overview->disk_room < overview->bytes_newest &&
	                         overview->disk_room < status->disk_total / 100 * LOW_PERCENT);
	if (overview->is_disk_full)
		need = add_need(overview, true, "disk", "Disk full", ADVICE_DISK_FULL);
	else if (overview->is_disk_low)
		need = add_need(overview, false, "disk", "Disk nearly full", ADVICE_DISK_LOW);
	if (need)
		(void)snprintf(need->why, sizeof(need->why),
		               "%" PRIu64 " MiB are free, of which %" PRIu64
		               " MiB are kept in reserve; the newest release has %" PRIu64 " MiB",
		               status->disk_free >> 20, overview->disk_reserve >> 20,
		               overview->bytes_newest >> 20);
}

static void judge_certificate(struct overview *overview)
{
	int64_t left = overview->cert_not_after - overview->now;
	bool has_expired = left <= 0;
	struct overview_need *need;
	char at[32], span[48];

	/* A self-made one is renewed in time by the daemon itself. */
	if (!certificate_stage(left) || (overview->is_cert_self_made && !has_expired))
		return;
	need = add_need(overview, has_expired, "certificate",
	                has_expired ? "Certificate has expired" : "Certificate expires soon",
	                has_expired ? ADVICE_CERT_EXPIRED : ADVICE_CERT_EXPIRES_SOON);
	if (!need)
		return;
	(void)overview_time(at, overview->cert_not_after);
	if (has_expired)
		(void)snprintf(need->why, sizeof(need->why), "it ended at %s", at);
	else
		(void)snprintf(need->why, sizeof(need->why), "it ends in %s, at %s",
		               overview_span(span, left), at);
}

static void judge_thread(struct overview *overview)
{
	struct overview_need *need;
	char span[48];

	if (overview->sync_turned_ms < OVERVIEW_SYNC_LIVE_MS)
		return;
	need = add_need(overview, true, "sync thread", "The sync thread does not go round", 0);
	if (need)
		(void)snprintf(need->why, sizeof(need->why), "it is in one step for %s",
		               overview_span(span, overview->sync_turned_ms / 1000));
}

static int compare_needs(const void *a, const void *b)
{
	const struct overview_need *x = a, *y = b;

	if (x->is_error != y->is_error)
		return x->is_error ? -1 : 1;
	if (x->is_tag != y->is_tag)
		return x->is_tag ? 1 : -1;
	if (x->is_tag)
		return store_tag_compare(y->subject, x->subject);
	return strcmp(x->subject, y->subject);
}

/* The whole first, then tags, the newest version first. */
static void judge_needs(struct overview *overview)
{
	for (size_t i = 0; i < overview->status.trouble_count; i++)
		need_of_trouble(overview, &overview->status.troubles[i]);
	judge_round(overview);
	judge_disk(overview);
	judge_certificate(overview);
	judge_thread(overview);
	qsort(overview->needs, overview->need_count, sizeof(*overview->needs), compare_needs);
}

/* ---- in short ---- */

static enum overview_state state_of(const struct overviews *overviews,
                                    const struct overview *overview)
{
	const struct status_snapshot *status = &overview->status;

	if (overviews_is_stopping(overviews))
		return OVERVIEW_STOPPING;
	if (store_view_release_count(overview->view))
		return overview->need_count ? OVERVIEW_ATTENTION : OVERVIEW_HEALTHY;
	if (status->round_ended_at && status->result == SYNC_WAITING)
		return OVERVIEW_WAITING;
	return status->round_ended_at ? OVERVIEW_NOTHING : OVERVIEW_STARTING;
}

/* "release refused, 4.6.0, and 2 more" */
static const char *first_need(const struct overview *overview, char text[static 256])
{
	const struct overview_need *need = &overview->needs[0];
	size_t more = overview->need_count + (size_t)overview->status.troubles_lost - 1;
	int length = snprintf(text, 256, "%s%s%s", need->what, need->is_tag ? ", " : "",
	                      need->is_tag ? need->subject : "");

	*text = (char)tolower((unsigned char)*text);
	if (more && length < 256)
		(void)snprintf(text + length, 256 - (size_t)length, ", and %zu more", more);
	return text;
}

static void sum_up(struct overview *overview)
{
	const struct status_snapshot *status = &overview->status;
	char releases[48], when[64], need[256];

	(void)overview_count(releases, store_view_release_count(overview->view), "release",
	                     "releases");
	switch (overview->state) {
	case OVERVIEW_HEALTHY:
		(void)overview_when(when, overview->now, status->success_at);
		(void)snprintf(overview->sentence, sizeof(overview->sentence),
		               "Healthy: serving %s, %s%s", releases,
		               status->success_at ? "synced " : "the first sync is under way",
		               status->success_at ? when : "");
		break;
	case OVERVIEW_ATTENTION:
		(void)snprintf(overview->sentence, sizeof(overview->sentence),
		               "Needs attention: %s; serving %s", first_need(overview, need),
		               releases);
		break;
	case OVERVIEW_WAITING:
		(void)snprintf(overview->sentence, sizeof(overview->sentence),
		               "Waiting for the registry secret: nothing is served yet");
		break;
	case OVERVIEW_STARTING:
		(void)snprintf(overview->sentence, sizeof(overview->sentence),
		               "Starting: the first sync is under way, nothing is served yet");
		break;
	case OVERVIEW_NOTHING:
		(void)snprintf(overview->sentence, sizeof(overview->sentence),
		               "Nothing is served yet: %s",
		               overview->need_count ? first_need(overview, need)
		                                    : "the next sync is waited for");
		break;
	case OVERVIEW_STOPPING:
		(void)snprintf(overview->sentence, sizeof(overview->sentence),
		               "Stopping: answers under way are finished");
		break;
	}
}

struct overview *overview_new(struct overviews *overviews, struct err *err)
{
	const struct overview_sources *from = &overviews->from;
	struct overview *overview = calloc(1, sizeof(*overview));

	if (!overview) {
		(void)err_set_sys(err, ENOMEM, "overview");
		return NULL;
	}
	/* First, so that what it calls done is in the view. */
	status_read(from->status, &overview->status);
	overview->view = store_view_get(from->store);
	if (take_shares(overviews, overview, err)) {
		overview_free(overview);
		return NULL;
	}
	store_count(from->store, &overview->store);
	overview->now = time(NULL);
	overview->disk_reserve = (uint64_t)from->config->disk_reserve;
	overview->cert_not_after = tls_server_not_after(from->server);
	overview->is_cert_self_made = !from->config->tls_cert;
	overview->sync_turned_ms = sync_turned_ms(overviews);
	judge_needs(overview);
	overview->state = state_of(overviews, overview);
	sum_up(overview);
	return overview;
}

void overview_free(struct overview *overview)
{
	if (!overview)
		return;
	store_view_put(overview->view);
	free(overview->shares);
	free(overview);
}
