/* Metrics as text; see exposition.h. */
#include "exposition.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

static const struct {
	const char *name;
	const char *suffix; /* of samples */
} types[] = {
	[METRIC_COUNTER] = { "counter", "_total" },
	[METRIC_GAUGE] = { "gauge", "" },
	[METRIC_HISTOGRAM] = { "histogram", "" },
	[METRIC_INFO] = { "info", "_info" },
};

#define ADD(exposition, ...)                                                                       \
	((exposition)->failed = (exposition)->failed ||                                            \
	                        buf_addf(&(exposition)->text, &(exposition)->err, __VA_ARGS__))

static bool is_open(const struct exposition *exposition)
{
	return exposition->format == EXPOSITION_OPENMETRICS;
}

void exposition_init(struct exposition *exposition, enum exposition_format format)
{
	*exposition = (struct exposition){ .text = BUF_INIT(EXPOSITION_MAX_BYTES),
		                           .format = format };
}

void exposition_release(struct exposition *exposition)
{
	buf_release(&exposition->text);
}

void exposition_family(struct exposition *exposition, const struct metric *metric)
{
	/* The older format has the suffix in the family's name, and knows of no info. */
	const char *suffix = is_open(exposition) ? "" : types[metric->type].suffix;
	const char *type = metric->type == METRIC_INFO && !is_open(exposition)
	                           ? "gauge"
	                           : types[metric->type].name;

	exposition->metric = metric;
	ADD(exposition, "# HELP %s%s %s\n", metric->name, suffix, metric->help);
	ADD(exposition, "# TYPE %s%s %s\n", metric->name, suffix, type);
	if (is_open(exposition) && metric->unit)
		ADD(exposition, "# UNIT %s %s\n", metric->name, metric->unit);
}

static void add_label_value(struct exposition *exposition, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			ADD(exposition, "\\n");
		else if (*value == '\\' || *value == '"')
			ADD(exposition, "\\%c", *value);
		else
			ADD(exposition, "%c", (unsigned char)*value < 0x80 ? *value : '?');
	}
}

static void add_labels(struct exposition *exposition, const struct metric_label *labels)
{
	const char *before = "{";

	for (; labels && labels->name; labels++, before = ",") {
		ADD(exposition, "%s%s=\"", before, labels->name);
		add_label_value(exposition, labels->value);
		ADD(exposition, "\"");
	}
	if (*before == ',')
		ADD(exposition, "}");
}

static void add_number(struct exposition *exposition, double value)
{
	const double exact = 9007199254740992.0; /* 2^53 */

	if (value > -exact && value < exact && value == (double)(int64_t)value)
		ADD(exposition, " %" PRId64 "\n", (int64_t)value);
	else
		ADD(exposition, " %.15g\n", value);
}

void exposition_value(struct exposition *exposition, const struct metric_label *labels,
                      double value)
{
	const struct metric *metric = exposition->metric;

	ADD(exposition, "%s%s", metric->name, types[metric->type].suffix);
	add_labels(exposition, labels);
	add_number(exposition, value);
}

void exposition_single(struct exposition *exposition, const struct metric *metric, double value)
{
	exposition_family(exposition, metric);
	exposition_value(exposition, NULL, value);
}

void exposition_histogram(struct exposition *exposition, const char *const *bounds,
                          const uint64_t *buckets, size_t count, double sum)
{
	const char *name = exposition->metric->name;
	uint64_t all = 0;

	for (size_t i = 0; i <= count; i++) {
		all += buckets[i];
		ADD(exposition, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name,
		    i < count ? bounds[i] : "+Inf", all);
	}
	ADD(exposition, "%s_sum", name);
	add_number(exposition, sum);
	ADD(exposition, "%s_count %" PRIu64 "\n", name, all);
}

int exposition_end(struct exposition *exposition, struct err *err)
{
	if (is_open(exposition))
		ADD(exposition, "# EOF\n");
	if (exposition->failed)
		*err = exposition->err;
	return exposition->failed ? -1 : 0;
}

const char *exposition_type(enum exposition_format format)
{
	return format == EXPOSITION_OPENMETRICS
	               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
	               : "text/plain; version=0.0.4; charset=utf-8";
}
