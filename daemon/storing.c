/* The store as it is configured; see storing.h. */
#include "storing.h"

#include "base/clock.h"
#include "log.h"

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
		[STORE_OVERLAY_CONFLICT] = { LOG_WARNING,
		                             "A file and a folder of two releases have "
		                             "one path; the newer is served" },
		[STORE_RESERVED_NAME] = { LOG_WARNING, "The release's own .specman is not served" },
		[STORE_HISTORY_LOST] = { LOG_WARNING, "A change is not in the history" },
	};
	struct recurring *troubles = ctx;

	if (recurring_happened(troubles, subject, lines[kind].msg, clock_now_ms()))
		log_line(lines[kind].level, lines[kind].msg,
		         (struct log_field[]){ { "subject", subject },
		                               { *detail ? "detail" : NULL, detail },
		                               { NULL, NULL } });
}

struct store *storing_open(const struct config *config, struct recurring *troubles, struct err *err)
{
	const struct store_settings settings = {
		.dir = config->data_dir,
		.limits = store_default_limits,
		.overlay = config->overlay,
		.allow_rollback = config->allow_rollback,
		.reserve_bytes = (uint64_t)config->disk_reserve,
		.observer = on_store_event,
		.observer_ctx = troubles,
	};

	return store_open(&settings, err);
}
