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
		[STORE_OBJECT_HEALED] = { LOG_INFO, "File whole again" },
		[STORE_HASHES_MADE] = { LOG_INFO, "Hashes of a large file made anew" },
		[STORE_OVERLAY_CONFLICT] = { LOG_WARNING,
		                             "A file and a folder of two releases have "
		                             "one path; the newer is served" },
		[STORE_RESERVED_NAME] = { LOG_WARNING, "The release's own .specman is not served" },
	};
	struct recurring *troubles = ctx;

	if (kind == STORE_OBJECT_HEALED)
		(void)recurring_over(troubles, subject);
	if (recurring_happened(troubles, subject, lines[kind].msg, clock_now_ms()))
		log_line(lines[kind].level, lines[kind].msg,
		         (struct log_field[]){ { "subject", subject },
		                               { *detail ? "detail" : NULL, detail },
		                               { NULL, NULL } });
}

static struct store_limits limits_of(const struct config *config)
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

struct store *storing_open(const struct config *config, struct recurring *troubles, struct err *err)
{
	const struct store_settings settings = {
		.dir = config->data_dir,
		.limits = limits_of(config),
		.reserve_bytes = (uint64_t)config->disk_reserve,
		.cache_bytes = (size_t)config->cache_size,
		.observer = on_store_event,
		.observer_ctx = troubles,
	};

	return store_open(&settings, err);
}
