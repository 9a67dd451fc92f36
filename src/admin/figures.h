/*
 * figures.h - the figures of each second: what /events, and through it the live page and rmsctl top, are made of.
 *
 * Once a second a snapshot of all counters is taken, and compared with the one before: requests a second, and quantiles
 * of that second by the same rule as Prometheus' histogram_quantile(). It is taken whether anybody listens or not, so
 * that who comes later can be told of the minutes before.
 *
 *	{"time_ns":N,"time":"...","generation":8,"version":"0.1.0","uptime_seconds":12.3,"server":"up",
 *	 "second_ns":N,"workers":[{"name":"app1","state":"up","since":"...","connections":3,...}],"totals":{...},
 *	 "shed_total":0,"drill":null}
 *
 * Counters and gauges are of time_ns; requests_per_second, p50_seconds and p99_seconds (null: no request) of the whole
 * second that ended at second_ns (0: none has ended yet).
 *
 * Thread: the admin thread.
 */
#ifndef RMSD_ADMIN_FIGURES_H
#define RMSD_ADMIN_FIGURES_H

#include <stdint.h>
#include "base/outbuf.h"
#include "metrics/metrics.h"

struct admin;

enum {
	FIGURES_KEPT = 300,                /* seconds */
	FIGURES_HISTORY_BYTES = 48 * 1024, /* of one history, about; many workers have a shorter one */
};

/* A worker's second, or that of all. */
struct figures_rates {
	double requests, p50, p99; /* the last two in seconds; NaN: there was no request */
};

struct figures_side {
	uint64_t requests, buckets[HISTOGRAM_BUCKETS]; /* at the end of the last second */
	struct figures_rates rates;
};

/* What is kept of a worker's second. */
struct figures_kept {
	float requests, p99; /* negative: there was no request */
	unsigned char state;
};

struct figures {
	unsigned workers;
	uint64_t second_ns, process[METRICS_CELLS];
	uint64_t (*rows)[METRICS_CELLS]; /* the snapshot */
	struct figures_side *sides;      /* each worker's, then that of all */
	uint64_t ends_ns[FIGURES_KEPT];  /* of the seconds kept: a ring */
	struct figures_kept *kept;       /* workers of them a second */
	unsigned n_kept, next;
};

/* 0 or UV_ENOMEM, and then there is something for figures_finish() all the same. */
int figures_init(struct figures *figures, unsigned workers);
void figures_finish(struct figures *figures); /* accepts zeroed memory */
/* A second has ended. */
void figures_end_second(struct admin *admin);
/* The object above, of a snapshot of now. */
void figures_write(struct admin *admin, struct outbuf *out);
/*
 * "workers":["app1",...],"states":["starting",...],"seconds":[[MS,RPS,P99,STATE,RPS,...],...]: of each second its end
 * in ms on the clock of time_ns, and for each worker requests a second, p99 in microseconds (-1: none) and the index of
 * its state at the end. The oldest first.
 */
void figures_write_history(struct admin *admin, struct outbuf *out);

#endif
