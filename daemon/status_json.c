/* The status as JSON; see status_page.h. */
#include <errno.h>

#include <jansson.h>

#include "advice.h"
#include "base/cleanup.h"
#include "escape.h"
#include "status_page.h"

DEFINE_CLEANUP(cleanup_json, json_t, json_decref);

/*
 * Without memory a value is NULL, with which json_pack makes nothing, up to the
 * root, where it is seen.
 */

static json_t *time_of(int64_t at)
{
	char text[32];

	return *overview_time(text, at) ? json_string(text) : json_null();
}

/* An error may name a path, which is any bytes. */
static json_t *text_of(const char *text)
{
	CLEANUP(buf_release) struct buf clean = BUF_INIT(4096);
	struct err full;

	if (!*text || escape_utf8(&clean, text, &full))
		return json_null();
	return json_string(clean.data);
}

static json_t *digest_text(const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	return json_string(digest_format(digest, text));
}

static json_t *count_of(uint64_t count)
{
	return json_integer((json_int_t)count);
}

static void add(json_t **array, json_t *value)
{
	if (!json_array_append_new(*array, value))
		return;
	json_decref(*array);
	*array = NULL;
}

static json_t *view_of(const struct overview *overview)
{
	return json_pack("{s:s, s:o, s:o, s:o}", "id", store_view_id(overview->view), "releases",
	                 count_of(store_view_release_count(overview->view)), "files",
	                 count_of(overview->served.files), "bytes",
	                 count_of(overview->served.bytes));
}

static json_t *sync_of(const struct overview *overview)
{
	static const char *const results[] = {
		[SYNC_DONE] = "done",
		[SYNC_WAITING] = "waiting",
		[SYNC_FAILED] = "failed",
		[SYNC_CANCELLED] = "cancelled",
	};
	const struct status_snapshot *status = &overview->status;

	return json_pack(
		"{s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f}", "source",
		text_of(status->source), "running", status->is_syncing, "began_at",
		time_of(status->round_began_at), "ended_at", time_of(status->round_ended_at),
		"seconds",
		status->round_ended_at ? json_real((double)status->round_ms / 1000) : json_null(),
		"result",
		status->round_ended_at ? json_string(results[status->result]) : json_null(),
		"reason", text_of(status->reason), "success_at", time_of(status->success_at),
		"next_at", time_of(status->next_at), "thread_turned_seconds_ago",
		(double)overview->sync_turned_ms / 1000);
}

static json_t *need_of(const struct overview_need *need)
{
	const struct advice *advice = advice_find(need->cause);

	return json_pack("{s:s, s:s, s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "severity",
	                 need->is_error ? "error" : "warning", "subject", need->subject, "is_tag",
	                 need->is_tag, "what", need->what, "why", text_of(need->why), "cause",
	                 text_of(advice ? advice->name : ""), "advice",
	                 text_of(advice ? advice->text : ""), "since", time_of(need->since),
	                 "last_at", time_of(need->last), "times",
	                 need->times ? count_of(need->times) : json_null());
}

static json_t *needs_of(const struct overview *overview)
{
	json_t *needs = json_array();

	for (size_t i = 0; needs && i < overview->need_count; i++)
		add(&needs, need_of(&overview->needs[i]));
	return needs;
}

static json_t *release_of(const struct store_release *release, const struct store_share *share)
{
	return json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "tag", release->tag, "manifest",
		digest_text(&release->manifest), "layer", digest_text(&release->layer), "created",
		text_of(release->created), "seen_at", time_of(release->seen_ms / 1000), "files",
		count_of(release->files), "bytes", count_of(release->bytes), "served_files",
		count_of(share->files), "served_bytes", count_of(share->bytes));
}

/* What lies on top comes first. */
static json_t *releases_of(const struct overview *overview)
{
	size_t count = store_view_release_count(overview->view);
	json_t *releases = json_array();

	for (size_t i = 0; releases && i < count && i < STATUS_JSON_RELEASES; i++) {
		size_t at = count - 1 - i;

		add(&releases,
		    release_of(store_view_release(overview->view, at), &overview->shares[at]));
	}
	return releases;
}

static json_t *disk_of(const struct overview *overview)
{
	const struct status_snapshot *status = &overview->status;

	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "total_bytes", count_of(status->disk_total),
	                 "free_bytes", count_of(status->disk_free), "reserve_bytes",
	                 count_of(overview->disk_reserve), "room_bytes",
	                 count_of(overview->disk_room), "looked_at", time_of(status->disk_at));
}

static json_t *store_of(const struct overview *overview)
{
	const struct store_counters *store = &overview->store;

	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "objects", count_of(store->objects),
	                 "damaged", count_of(store->damaged), "damaged_total",
	                 count_of(store->damaged_total), "healed_total",
	                 count_of(store->healed_total), "checked_at",
	                 time_of(store->scrub_passed_at));
}

static json_t *certificate_of(const struct overview *overview)
{
	return json_pack("{s:o, s:b}", "ends_at", time_of(overview->cert_not_after), "self_made",
	                 overview->is_cert_self_made);
}

static int keep(const char *bytes, size_t size, void *ctx)
{
	struct err full;

	return buf_add(ctx, bytes, size, &full);
}

int status_json_write(struct buf *text, const struct overview *overview, struct err *err)
{
	size_t count = store_view_release_count(overview->view);
	CLEANUP(cleanup_json)
	json_t *root = json_pack(
		"{s:s, s:s, s:b, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"state", overview_state_name(overview->state), "summary", overview->sentence,
		"ready", count && overview->state != OVERVIEW_STOPPING, "time",
		time_of(overview->now), "version", SPECMAN_VERSION, "started_at",
		time_of(overview->status.started_at), "view", view_of(overview), "sync",
		sync_of(overview), "needs", needs_of(overview), "needs_omitted",
		count_of(overview->status.troubles_lost), "releases", releases_of(overview),
		"releases_omitted",
		count_of(count > STATUS_JSON_RELEASES ? count - STATUS_JSON_RELEASES : 0), "disk",
		disk_of(overview), "store", store_of(overview), "certificate",
		certificate_of(overview));

	if (!root)
		return err_set_sys(err, ENOMEM, "status");
	/* With all that a double has, 0.035 would be 0.035000000000000003. */
	if (json_dump_callback(root, keep, text, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) ||
	    buf_addf(text, err, "\n"))
		return err_set(err, ERR_LIMIT, "status is too large");
	return 0;
}
