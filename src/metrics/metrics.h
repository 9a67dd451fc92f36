/*
 * metrics.h - numbers that many threads write and one scrape reads.
 *
 * A shard is an array of cells with one writer, so that counting is a plain load and store. Each worker's name has two
 * kinds of shard: its control shard, which the control thread writes and which lives as long as the process; and one
 * for each incarnation, which that thread writes, attached while it lives and folded into the name's total when it
 * ends. So a name's counters survive kill and revive, and the sum over all its shards is its value. A gauge that two
 * threads move up and down (connections: control gives, the worker leaves) is right in the sum too: cells wrap modulo
 * 2^64. The process has two shards more, for what carries no worker label: one the control thread writes, and one the
 * admin thread.
 * METRIC_requests and METRIC_process_* are nobody's to write: metrics_write() works them out.
 *
 * Thread: metrics_add(), metrics_set(), metrics_observe(): the shard's one writer. metrics_attach(), metrics_detach():
 * the control thread. metrics_write(), metrics_read(), metrics_worker_value(): any.
 */
#ifndef RMSD_METRICS_METRICS_H
#define RMSD_METRICS_METRICS_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/outbuf.h"

/*
 * Cells by name, from metrics.def: METRIC_<name> is the (first) cell of a metric. A metric with a label of fixed values
 * has one cell a value: METRIC_connections_closed + CLOSED_CLIENT. Codes: METRIC_responses + METRICS_CODE(200).
 */
#include "metrics/cells.h"
#include "metrics/exposition.h"

struct metrics_shard {
	struct list_node node; /* the name's list while attached */
	alignas(64) _Atomic uint64_t cells[METRICS_CELLS];
};

struct metrics; /* the registry */

/*
 * For workers names (copied); codes, ended by 0, are the status codes whose series exist from the start.
 * NULL when out of memory.
 */
struct metrics *metrics_create(const char *const *names, unsigned workers, const uint16_t *codes);
void metrics_destroy(struct metrics *metrics); /* accepts NULL; no shard is attached any more */

struct metrics_shard *metrics_control_shard(struct metrics *metrics, unsigned worker);
struct metrics_shard *metrics_process_shard(struct metrics *metrics);
struct metrics_shard *metrics_admin_shard(struct metrics *metrics);
/* Zeroes shard and lends it to the registry until metrics_detach(), which folds it into the name's total. */
void metrics_attach(struct metrics *metrics, unsigned worker, struct metrics_shard *shard);
void metrics_detach(struct metrics *metrics, unsigned worker, struct metrics_shard *shard);

static inline uint64_t metrics_get(const struct metrics_shard *shard, unsigned cell)
{
	return atomic_load_explicit(&shard->cells[cell], memory_order_relaxed);
}

static inline void metrics_set(struct metrics_shard *shard, unsigned cell, uint64_t value)
{
	atomic_store_explicit(&shard->cells[cell], value, memory_order_relaxed);
}

static inline void metrics_add(struct metrics_shard *shard, unsigned cell, uint64_t n)
{
	metrics_set(shard, cell, metrics_get(shard, cell) + n);
}

static inline void metrics_sub(struct metrics_shard *shard, unsigned cell, uint64_t n)
{
	metrics_set(shard, cell, metrics_get(shard, cell) - n);
}

/* count requests that took ns nanoseconds each. */
void metrics_observe(struct metrics_shard *shard, uint64_t ns, uint64_t count);

/* The value of a cell of a worker's name, over all its shards. */
uint64_t metrics_worker_value(struct metrics *metrics, unsigned worker, unsigned cell);
/* Requests answered by it: the sum over all codes. */
uint64_t metrics_worker_requests(struct metrics *metrics, unsigned worker);

/*
 * One snapshot of all: a row for each worker, by its index, and the cells that carry no worker label. METRIC_requests
 * is worked out; what is asked of the kernel is left at 0.
 */
void metrics_read(struct metrics *metrics, uint64_t (*rows)[METRICS_CELLS], uint64_t process[METRICS_CELLS]);

enum { METRICS_ALL = -1 };
/*
 * The exposition of one snapshot. worker METRICS_ALL: everything; else the series with that worker's label
 * alone: no process_*, nothing without the label.
 */
void metrics_write(struct metrics *metrics, int worker, enum exposition form, struct outbuf *out);
/* The page of docs: docs/metrics.md. */
void metrics_print(struct outbuf *out);

#endif
