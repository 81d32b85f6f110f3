/* Syncing, and the registry; see metrics.h. */
#include "metrics_parts.h"

#include "advice.h"
#include "base/counter.h"
#include "oci/oci.h"

static const char *const results[STATUS_RESULTS] = {
	[SYNC_DONE] = "done",
	[SYNC_WAITING] = "waiting",
	[SYNC_FAILED] = "failed",
	[SYNC_CANCELLED] = "cancelled",
};

static const char *cause_name(int cause)
{
	const struct advice *advice = advice_find(cause);

	return advice ? advice->name : "unknown";
}

static void add_state(struct exposition *e, const struct metrics *metrics,
                      const struct status_snapshot *now)
{
	bool has_ended = now->round_ended_at != 0;
	const struct single singles[] = {
		{ { "specman_sync_in_progress", METRIC_GAUGE, NULL,
		    "1 while a round of syncing is under way." },
		  now->is_syncing },
		{ { "specman_sync_waiting_for_secret", METRIC_GAUGE, NULL,
		    "1 while neither a flag nor the secret names a registry." },
		  has_ended && now->result == SYNC_WAITING },
		{ { "specman_sync_interval_seconds", METRIC_GAUGE, "seconds", "--poll-interval." },
		  (double)metrics->config->poll_interval_ms / 1000 },
		{ { "specman_sync_last_success_timestamp_seconds", METRIC_GAUGE, "seconds",
		    "When a round last ended in which all went well; 0: never." },
		  (double)now->success_at },
		{ { "specman_sync_last_done_timestamp_seconds", METRIC_GAUGE, "seconds",
		    "The same, also where single releases were refused; 0: never." },
		  (double)now->done_at },
		{ { "specman_sync_last_round_timestamp_seconds", METRIC_GAUGE, "seconds",
		    "When the last round ended; 0: none has." },
		  (double)now->round_ended_at },
		{ { "specman_sync_last_round_duration_seconds", METRIC_GAUGE, "seconds",
		    "How long it took." },
		  (double)now->round_ms / 1000 },
		{ { "specman_sync_next_timestamp_seconds", METRIC_GAUGE, "seconds",
		    "When the next round is due; 0 while one is under way." },
		  (double)now->next_at },
	};

	add_singles(e, singles, sizeof(singles) / sizeof(singles[0]));
}

static void add_rounds(struct exposition *e, const struct status_snapshot *now)
{
	static const struct metric last = { "specman_sync_last_round_result", METRIC_GAUGE, NULL,
		                            "1 for what the last round came to." };
	static const struct metric rounds = { "specman_sync_rounds", METRIC_COUNTER, NULL,
		                              "Rounds of syncing by what they came to." };

	exposition_family(e, &last);
	for (size_t i = 0; i < STATUS_RESULTS; i++)
		exposition_value(e, LABEL("result", results[i]),
		                 now->round_ended_at && now->result == (enum sync_result)i);
	exposition_family(e, &rounds);
	for (size_t i = 0; i < STATUS_RESULTS; i++)
		exposition_value(e, LABEL("result", results[i]), (double)now->rounds[i]);
}

static void add_failures(struct exposition *e, const struct status_snapshot *now)
{
	static const struct metric metric = {
		"specman_sync_failures", METRIC_COUNTER, NULL,
		"Failures of rounds and tags by cause, as in the log."
	};

	exposition_family(e, &metric);
	for (int cause = 0; cause < STATUS_CAUSES; cause++)
		if (now->failures[cause] || !cause)
			exposition_value(e, LABEL("cause", cause_name(cause)),
			                 (double)now->failures[cause]);
}

static const char *about(const struct status_trouble *trouble)
{
	return trouble->is_warning ? "warning" : trouble->is_tag ? "release" : "other";
}

static bool is_alike(const struct status_trouble *a, const struct status_trouble *b)
{
	return a->is_tag == b->is_tag && a->is_warning == b->is_warning && a->kind == b->kind &&
	       a->cause == b->cause;
}

/* Those that are alike are one sample. */
static void add_troubles(struct exposition *e, const struct status_snapshot *now)
{
	static const struct metric metric = {
		"specman_troubles", METRIC_GAUGE, NULL,
		"What goes wrong now, by what it is about, kind and cause of the failure."
	};

	exposition_family(e, &metric);
	for (size_t i = 0; i < now->trouble_count; i++) {
		const struct status_trouble *trouble = &now->troubles[i];
		double alike = 0;
		size_t first = 0;

		while (!is_alike(&now->troubles[first], trouble))
			first++;
		if (first < i)
			continue;
		for (size_t k = i; k < now->trouble_count; k++)
			alike += is_alike(&now->troubles[k], trouble);
		exposition_value(
			e,
			(const struct metric_label[]){ { "about", about(trouble) },
		                                       { "kind", err_kind_name(trouble->kind) },
		                                       { "cause", cause_name(trouble->cause) },
		                                       { NULL, NULL } },
			alike);
	}
}

static void add_registry(struct exposition *e, const struct oci_counters *c)
{
	static const struct metric requests = {
		"specman_registry_requests", METRIC_COUNTER, NULL,
		"Requests to the registry and its token server by method and status; none: "
		"there was no whole answer."
	};
	const struct single singles[] = {
		{ { "specman_registry_received_bytes", METRIC_COUNTER, "bytes",
		    "Bytes of answers' bodies, or read from an OCI image layout." },
		  (double)counter_read(&c->received_bytes) },
		{ { "specman_registry_retries", METRIC_COUNTER, NULL,
		    "Pauses after which the registry was asked again." },
		  (double)counter_read(&c->retries) },
		{ { "specman_registry_failovers", METRIC_COUNTER, NULL,
		    "Times that the next mirror was asked because one failed." },
		  (double)counter_read(&c->failovers) },
	};

	exposition_family(e, &requests);
	for (size_t i = 0; i < OCI_COUNTED_METHODS; i++) {
		for (size_t k = 0; k < OCI_COUNTED_CODES; k++) {
			uint64_t count = counter_read(&c->answers[i][k]);

			if (count)
				exposition_value(e,
				                 (const struct metric_label[]){
							 { "method", oci_counted_method(i) },
							 { "code", oci_counted_code(k) },
							 { NULL, NULL } },
				                 (double)count);
		}
	}
	add_singles(e, singles, sizeof(singles) / sizeof(singles[0]));
}

void metrics_add_sync(struct exposition *e, const struct metrics *metrics)
{
	struct status_snapshot now;

	status_read(metrics->status, &now);
	add_state(e, metrics, &now);
	add_rounds(e, &now);
	add_failures(e, &now);
	add_troubles(e, &now);
	add_registry(e, status_registry(metrics->status));
}
