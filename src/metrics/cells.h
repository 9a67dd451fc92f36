/*
 * cells.h - metrics.def as enumerators: the cells of a shard, the values of labels.
 *
 * Of a LABEL(state, ...): enum metrics_state, and the texts in metrics_state_names[]. enum metrics_state is the state
 * of a worker everywhere in the program.
 */
#ifndef RMSD_METRICS_CELLS_H
#define RMSD_METRICS_CELLS_H

#include "metrics/histogram.h"

/* clang-format off */
#define VALUE(name, text) name,
#define LABEL(id, key, values) enum metrics_##id { values }; extern const char *const metrics_##id##_names[];
#include "metrics/metrics.def"

/* How many cells a metric with that label has. */
enum {
	METRICS_CODE_MIN = 200,
	METRICS_CODE_MAX = 599,
	METRICS_VALUES_none = 1,
	METRICS_VALUES_code = METRICS_CODE_MAX - METRICS_CODE_MIN + 1,
	METRICS_VALUES_le = HISTOGRAM_BUCKETS + 1, /* each bucket's own count, then the sum of the values in ns */
#define VALUE(name, text) + 1
#define LABEL(id, key, values) METRICS_VALUES_##id = 0 values,
#include "metrics/metrics.def"
};

enum {
#define METRIC(kind, cell, name, scope, label, unit, help) \
	METRIC_##cell, METRIC_##cell##_last = METRIC_##cell + METRICS_VALUES_##label - 1,
#include "metrics/metrics.def"
	METRICS_CELLS
};

#define METRICS_CODE(code) ((unsigned)(code) - METRICS_CODE_MIN)
/* clang-format on */

#endif
