/*
 * Metrics as text, for Prometheus and what understands it: OpenMetrics 1.0.0
 * (github.com/OpenObservability/OpenMetrics, specification/OpenMetrics.md) or
 * Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
 *
 *	struct exposition e;
 *	exposition_init(&e, EXPOSITION_OPENMETRICS);
 *	exposition_family(&e, &(struct metric){ "specman_sync_rounds", METRIC_COUNTER, NULL, "…" });
 *	exposition_value(&e, (struct metric_label[]){ { "result", "done" }, { NULL } }, 3);
 *	if (!exposition_end(&e, &err)) … e.text …
 *	exposition_release(&e);
 *
 * What fails is remembered and told at the end. All samples of a family follow
 * its head. No _created samples are written: a figure begins with the process.
 */
#ifndef SPECMAN_EXPOSITION_H
#define SPECMAN_EXPOSITION_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { EXPOSITION_MAX_BYTES = 4 * 1024 * 1024 };

enum exposition_format { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS };

enum metric_type {
	METRIC_COUNTER, /* samples have _total behind the name */
	METRIC_GAUGE,
	METRIC_HISTOGRAM,
	METRIC_INFO, /* samples have _info behind the name, and the value 1 */
};

/* A family. Constants of ours: nothing in it is escaped. */
struct metric {
	const char *name; /* without what its type puts behind it */
	enum metric_type type;
	const char *unit; /* the last word of the name, or NULL */
	const char *help; /* a sentence */
};

/* The last one of a list has no name. Values may be any text; what is not ASCII becomes
 * "?", since one ill-formed byte would cost the whole answer. */
struct metric_label {
	const char *name;
	const char *value;
};

struct exposition {
	struct buf text;
	enum exposition_format format;
	const struct metric *metric; /* the family that is being written */
	int failed;
	struct err err;
};

void exposition_init(struct exposition *exposition, enum exposition_format format);
void exposition_release(struct exposition *exposition);

/* The head of a family; metric is borrowed until the next. */
void exposition_family(struct exposition *exposition, const struct metric *metric);

/* A sample of it; labels may be NULL. Whole numbers are exact up to 2^53. */
void exposition_value(struct exposition *exposition, const struct metric_label *labels,
                      double value);

/* Head and only sample. */
void exposition_single(struct exposition *exposition, const struct metric *metric, double value);

/*
 * The samples of a histogram: `count` upper bounds, as texts of floating-point
 * numbers ("0.5", "1.0"), and count + 1 buckets, each counted for itself, the last
 * one above all bounds.
 */
void exposition_histogram(struct exposition *exposition, const char *const *bounds,
                          const uint64_t *buckets, size_t count, double sum);

/* 0 when all of it is in text; else the first failure. */
MUST_CHECK int exposition_end(struct exposition *exposition, struct err *err);

/* The Content-Type; lives for ever. */
const char *exposition_type(enum exposition_format format);

#endif
