/* The parts of /metrics; each writes its families whole. */
#ifndef SPECMAN_METRICS_PARTS_H
#define SPECMAN_METRICS_PARTS_H

#include "exposition.h"
#include "metrics.h"

/* One label, for exposition_value. */
#define LABEL(name, value)                                                                         \
	((const struct metric_label[]){                                                            \
		{ name, value },                                                                   \
		{ NULL, NULL },                                                                    \
	})

/* A family of one sample without labels. */
struct single {
	struct metric metric;
	double value;
};

static inline void add_singles(struct exposition *e, const struct single *singles, size_t count)
{
	for (size_t i = 0; i < count; i++)
		exposition_single(e, &singles[i].metric, singles[i].value);
}

void metrics_add_sync(struct exposition *e, const struct metrics *metrics);
void metrics_add_store(struct exposition *e, const struct metrics *metrics);
void metrics_add_serving(struct exposition *e, const struct metrics *metrics);
void metrics_add_process(struct exposition *e);

#endif
