/* The store, its disk, its cache; see metrics.h. */
#include "metrics_parts.h"

static void add_objects(struct exposition *e, const struct store_counters *c)
{
	const struct single singles[] = {
		{ { "specman_store_objects", METRIC_GAUGE, NULL,
		    "Files in the store, each content once, at the last sweep." },
		  (double)c->objects },
		{ { "specman_store_object_bytes", METRIC_GAUGE, "bytes", "Size of all these." },
		  (double)c->object_bytes },
		{ { "specman_store_damaged_objects", METRIC_GAUGE, NULL,
		    "Objects found missing or damaged and not whole again yet." },
		  (double)c->damaged },
		{ { "specman_store_damages", METRIC_COUNTER, NULL,
		    "Objects found missing or damaged." },
		  (double)c->damaged_total },
		{ { "specman_store_heals", METRIC_COUNTER, NULL,
		    "Damaged objects that became whole again." },
		  (double)c->healed_total },
	};

	add_singles(e, singles, sizeof(singles) / sizeof(singles[0]));
}

static void add_cache(struct exposition *e, const struct store_counters *c)
{
	const struct single singles[] = {
		{ { "specman_cache_hits", METRIC_COUNTER, NULL,
		    "Contents that were in memory when they were asked for." },
		  (double)c->cache_hits },
		{ { "specman_cache_misses", METRIC_COUNTER, NULL,
		    "Contents that had to be read from disk." },
		  (double)c->cache_misses },
		{ { "specman_cache_evictions", METRIC_COUNTER, NULL,
		    "Contents that made room for others." },
		  (double)c->cache_evictions },
		{ { "specman_cache_pieces", METRIC_GAUGE, NULL, "Contents that are in memory." },
		  (double)c->cache_pieces },
		{ { "specman_cache_bytes", METRIC_GAUGE, "bytes", "Memory that they take." },
		  (double)c->cache_bytes },
		{ { "specman_cache_limit_bytes", METRIC_GAUGE, "bytes", "--cache-size." },
		  (double)c->cache_limit },
	};

	add_singles(e, singles, sizeof(singles) / sizeof(singles[0]));
}

static void add_scrub(struct exposition *e, const struct store_counters *c)
{
	const struct single singles[] = {
		{ { "specman_scrub_objects", METRIC_COUNTER, NULL,
		    "Objects that the background check has looked at." },
		  (double)c->scrub_objects },
		{ { "specman_scrub_read_bytes", METRIC_COUNTER, "bytes",
		    "Bytes that it has read." },
		  (double)c->scrub_bytes },
		{ { "specman_scrub_passes", METRIC_COUNTER, NULL,
		    "Times that it came to the end of the store." },
		  (double)c->scrub_passes },
		{ { "specman_scrub_progress_ratio", METRIC_GAUGE, "ratio",
		    "How much of the pass under way is done." },
		  (double)c->scrub_ppm / 1e6 },
		{ { "specman_scrub_last_pass_timestamp_seconds", METRIC_GAUGE, "seconds",
		    "When the last pass ended, also before a restart; 0: never." },
		  (double)c->scrub_passed_at },
	};

	add_singles(e, singles, sizeof(singles) / sizeof(singles[0]));
}

static void add_quarantine(struct exposition *e, const struct status_snapshot *now)
{
	static const struct metric metric = { "specman_store_quarantined_objects", METRIC_GAUGE,
		                              NULL,
		                              "Files in quarantine/: damaged, and not fetched "
		                              "again yet." };

	exposition_family(e, &metric);
	/* A folder that can't be read has no figure. */
	if (now->has_quarantined)
		exposition_value(e, NULL, (double)now->quarantined);
}

/* As the sync thread saw it lately: a disk that hangs must not hold up who looks. */
static void add_disk(struct exposition *e, const struct metrics *metrics,
                     const struct status_snapshot *now)
{
	if (!now->disk_at)
		return;
	const struct single singles[] = {
		{ { "specman_disk_size_bytes", METRIC_GAUGE, "bytes",
		    "Size of the data directory's file system." },
		  (double)now->disk_total },
		{ { "specman_disk_free_bytes", METRIC_GAUGE, "bytes",
		    "What of it is free for specman." },
		  (double)now->disk_free },
		{ { "specman_disk_reserve_bytes", METRIC_GAUGE, "bytes",
		    "--disk-reserve: what no release may use of that." },
		  (double)metrics->config->disk_reserve },
		{ { "specman_disk_inodes", METRIC_GAUGE, NULL,
		    "Inodes of the file system; 0: it has no fixed number." },
		  (double)now->inodes },
		{ { "specman_disk_free_inodes", METRIC_GAUGE, NULL, "What of them is free." },
		  (double)now->inodes_free },
	};

	add_singles(e, singles, sizeof(singles) / sizeof(singles[0]));
}

void metrics_add_store(struct exposition *e, const struct metrics *metrics)
{
	struct store_counters counters;
	struct status_snapshot now;

	store_count(metrics->store, &counters);
	status_read(metrics->status, &now);
	add_objects(e, &counters);
	add_quarantine(e, &now);
	add_disk(e, metrics, &now);
	add_cache(e, &counters);
	add_scrub(e, &counters);
}
