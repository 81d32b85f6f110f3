/* The store as it is configured; see storing.h. */
#include "storing.h"

#include <inttypes.h>
#include <stdio.h>

#include "advice.h"
#include "base/clock.h"
#include "log.h"

const char storing_damage[] = "store";

/* A release is well again once it is fetched, files once none is damaged: the sync thread sees it.
 */
static void note(struct status *status, enum store_event_kind kind, const char *subject,
                 const char *detail)
{
	bool is_tag = kind == STORE_RELEASE_BROKEN;
	struct err err;

	if (!status || (!is_tag && kind != STORE_OBJECT_DAMAGED))
		return;
	err_fill(&err, ERR_DIGEST, "%s: %s", subject, detail);
	err.cause = ADVICE_DATA_DIR_IO;
	status_happened(status, is_tag ? subject : storing_damage, is_tag,
	                is_tag ? "Release damaged on disk" : "Files damaged on disk", &err);
}

static void on_store_event(void *ctx, enum store_event_kind kind, const char *subject,
                           const char *detail)
{
	static const struct {
		enum log_level level;
		const char *msg;
	} lines[] = {
		[STORE_RELEASE_BROKEN] = { LOG_ERROR,
		                           "Release damaged on disk, left out until it is "
		                           "fetched again" },
		[STORE_OBJECT_DAMAGED] = { LOG_ERROR,
		                           "File damaged on disk, not served until it is "
		                           "fetched again" },
		[STORE_OBJECT_HEALED] = { LOG_INFO, "File whole again" },
		[STORE_HASHES_MADE] = { LOG_INFO, "Hashes of a large file made anew" },
		[STORE_OVERLAY_CONFLICT] = { LOG_WARNING,
		                             "A file and a folder of two releases have "
		                             "one path; the newer is served" },
		[STORE_RESERVED_NAME] = { LOG_WARNING, "The release's own .specman is not served" },
		[STORE_HISTORY_LOST] = { LOG_WARNING, "A change is not in the history" },
		[STORE_NOT_LOCKED] = { LOG_WARNING,
		                       "The data directory's file system has no locks; make "
		                       "sure that no second specman uses it" },
		[STORE_VIEWS_GIVEN_UP] = { LOG_WARNING,
		                           "Replaced views given up before their time" },
		[STORE_NOT_SWEPT] = { LOG_WARNING, "Old objects not swept" },
	};
	const struct storing_observer *observer = ctx;
	struct recurring *troubles = observer->troubles;

	note(observer->status, kind, subject, detail);
	if (kind == STORE_OBJECT_HEALED)
		(void)recurring_over(troubles, subject);
	if (recurring_happened(troubles, subject, lines[kind].msg, clock_now_ms()))
		log_line(lines[kind].level, lines[kind].msg,
		         (struct log_field[]){ { "subject", subject },
		                               { *detail ? "detail" : NULL, detail },
		                               { NULL, NULL } });
}

struct store_limits storing_limits(const struct config *config)
{
	return (struct store_limits){
		.entries = (uint64_t)config->max_entries,
		.file_bytes = (uint64_t)config->max_file_size,
		.total_bytes = (uint64_t)config->max_unpacked_size,
		.ratio = (uint64_t)config->max_ratio,
		.ratio_from = store_default_limits.ratio_from,
		.path_bytes = (size_t)config->max_path_length,
		.depth = (unsigned)config->max_depth,
	};
}

struct store *storing_open(const struct config *config, struct storing_observer *observer,
                           struct signers *signers, struct err *err)
{
	const struct store_settings settings = {
		.dir = config->data_dir,
		.limits = storing_limits(config),
		.overlay = config->overlay,
		.allow_rollback = config->allow_rollback,
		.reserve_bytes = (uint64_t)config->disk_reserve,
		.cache_bytes = (size_t)config->cache_size,
		.observer = on_store_event,
		.observer_ctx = observer,
		.admits = signers ? signers_admission(signers) : NULL,
		.admits_ctx = signers,
	};

	return store_open(&settings, err);
}

int storing_sweep(struct store *store, char *out_text, size_t size, struct err *err)
{
	uint64_t swept;

	if (store_collect(store, &swept, err))
		return -1;
	if (store_collect_was_held(store))
		(void)snprintf(out_text, size,
		               "nothing swept: a release's file is damaged, and what it names is "
		               "not known");
	else
		(void)snprintf(out_text, size, "%" PRIu64 " objects swept", swept);
	return 0;
}

void storing_look(struct store *store, const struct config *config, struct status *status)
{
	uint64_t count = 0;
	struct err err;
	bool is_known = !store_count_quarantined(store, &count, &err);

	status_look_at_disk(status, config->data_dir);
	status_set_quarantined(status, is_known, count);
}

void storing_expire(struct store *store)
{
	uint64_t swept;
	struct err err;
	char count[24];

	if (!store_expire_views(store))
		return;
	/* What can't be swept now is swept after the next change. */
	if (store_collect(store, &swept, &err)) {
		log_line(LOG_ERROR, "Old objects not swept",
		         (struct log_field[]){ { "error", err.msg }, { NULL, NULL } });
		return;
	}
	(void)snprintf(count, sizeof(count), "%" PRIu64, swept);
	log_line(LOG_DEBUG, "Swept what replaced views named",
	         (struct log_field[]){ { "objects", count }, { NULL, NULL } });
}
