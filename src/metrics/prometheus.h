/*
 * prometheus.h - a snapshot of all cells to Prometheus' text exposition 0.0.4 or to OpenMetrics 1.0.0.
 *
 * Thread: any.
 */
#ifndef RMSD_METRICS_PROMETHEUS_H
#define RMSD_METRICS_PROMETHEUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/outbuf.h"
#include "metrics/cells.h"
#include "metrics/exposition.h"

struct prometheus_row {
	const char *label; /* worker="app1", escaped */
	uint64_t cells[METRICS_CELLS];
};

struct prometheus_snapshot {
	const bool *codes;                 /* by METRICS_CODE(): series that exist while zero */
	const uint64_t *process;           /* the cells without a worker; NULL: they are left out */
	const struct prometheus_row *rows; /* one a worker */
	unsigned workers;
};

void prometheus_write(const struct prometheus_snapshot *snapshot, enum exposition form, struct outbuf *out);

#endif
