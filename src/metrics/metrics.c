/* metrics.c - the registry: which shards belong to which worker's name, and their sum. */
#include "metrics/metrics.h"

#include <assert.h>
#include <stdlib.h>

#include "base/lock.h"
#include "metrics/process.h"
#include "metrics/prometheus.h"

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "cells are counted in by plain loads and stores");

struct name {
	struct metrics_shard control;
	struct list attached; /* guarded by the registry's lock */
	char *label;          /* worker="app1", escaped for the exposition */
};

struct metrics {
	struct lock lock; /* guards which shards are attached: a scrape sees a shard either there or folded */
	unsigned workers;
	bool codes[METRICS_VALUES_code];
	struct metrics_shard process, admin;
	struct name names[];
};

static char *make_label(const char *name)
{
	struct outbuf label = { 0 };

	outbuf_text(&label, "worker=\"");
	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			outbuf_text(&label, "\\");
		outbuf_append(&label, *name == '\n' ? "\\n" : name, *name == '\n' ? 2 : 1);
	}
	outbuf_append(&label, "\"", sizeof("\""));
	if (label.failed)
		outbuf_finish(&label);
	return label.data;
}

static void clear(struct metrics_shard *shard)
{
	for (unsigned i = 0; i < METRICS_CELLS; i++)
		metrics_set(shard, i, 0);
}

struct metrics *metrics_create(const char *const *names, unsigned workers, const uint16_t *codes)
{
	struct metrics *metrics =
		aligned_alloc(alignof(struct metrics), sizeof(*metrics) + workers * sizeof(metrics->names[0]));

	if (!metrics)
		return NULL;
	memset(metrics, 0, sizeof(*metrics));
	lock_init(&metrics->lock);
	for (; metrics->workers < workers; metrics->workers++) {
		struct name *name = &metrics->names[metrics->workers];

		clear(&name->control);
		list_init(&name->attached);
		name->label = make_label(names[metrics->workers]);
		if (!name->label)
			goto destroy;
	}
	for (; *codes; codes++) {
		assert(*codes >= METRICS_CODE_MIN && *codes <= METRICS_CODE_MAX);
		metrics->codes[METRICS_CODE(*codes)] = true;
	}
	metrics_set(&metrics->process, METRIC_build + VERSION_RUNNING, 1);
	metrics_set(&metrics->process, METRIC_process_start_time, process_start_ns());
	return metrics;
destroy:
	metrics_destroy(metrics);
	return NULL;
}

void metrics_destroy(struct metrics *metrics)
{
	if (!metrics)
		return;
	for (unsigned i = 0; i < metrics->workers; i++) {
		assert(list_empty(&metrics->names[i].attached));
		free(metrics->names[i].label);
	}
	lock_finish(&metrics->lock);
	free(metrics);
}

struct metrics_shard *metrics_control_shard(struct metrics *metrics, unsigned worker)
{
	assert(worker < metrics->workers);
	return &metrics->names[worker].control;
}

struct metrics_shard *metrics_process_shard(struct metrics *metrics)
{
	return &metrics->process;
}

struct metrics_shard *metrics_admin_shard(struct metrics *metrics)
{
	return &metrics->admin;
}

void metrics_attach(struct metrics *metrics, unsigned worker, struct metrics_shard *shard)
{
	assert(worker < metrics->workers);
	clear(shard);
	lock_acquire(&metrics->lock);
	list_push(&metrics->names[worker].attached, &shard->node);
	lock_release(&metrics->lock);
}

/* The total is the name's control shard, which has the same writer as this function has callers: the control thread. */
void metrics_detach(struct metrics *metrics, unsigned worker, struct metrics_shard *shard)
{
	assert(worker < metrics->workers);
	lock_acquire(&metrics->lock);
	list_remove(&shard->node);
	for (unsigned i = 0; i < METRICS_CELLS; i++)
		metrics_add(&metrics->names[worker].control, i, metrics_get(shard, i));
	lock_release(&metrics->lock);
}

void metrics_observe(struct metrics_shard *shard, uint64_t ns, uint64_t count)
{
	metrics_add(shard, METRIC_duration + histogram_bucket(ns), count);
	metrics_add(shard, METRIC_duration + HISTOGRAM_BUCKETS, ns * count);
}

/*
 * The control shard is read last, since it is the one that gauges go up in: less is then seen to have left than to
 * have come. Where a reader is overtaken all the same, a gauge a little below zero is zero.
 */
static void sum_cells(const struct metrics *metrics, unsigned worker, unsigned first, unsigned count, uint64_t *sums)
	REQUIRES(metrics->lock)
{
	const struct name *name = &metrics->names[worker];

	memset(sums, 0, count * sizeof(*sums));
	for (const struct list_node *node = name->attached.head.next; node != &name->attached.head; node = node->next) {
		const struct metrics_shard *shard = list_entry(node, struct metrics_shard, node);

		for (unsigned i = 0; i < count; i++)
			sums[i] += metrics_get(shard, first + i);
	}
	for (unsigned i = 0; i < count; i++) {
		sums[i] += metrics_get(&name->control, first + i);
		if (sums[i] > INT64_MAX)
			sums[i] = 0;
	}
}

uint64_t metrics_worker_value(struct metrics *metrics, unsigned worker, unsigned cell)
{
	uint64_t value;

	assert(worker < metrics->workers && cell < METRICS_CELLS);
	lock_acquire(&metrics->lock);
	sum_cells(metrics, worker, cell, 1, &value);
	lock_release(&metrics->lock);
	return value;
}

static uint64_t sum_codes(const uint64_t *codes)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < METRICS_VALUES_code; i++)
		sum += codes[i];
	return sum;
}

uint64_t metrics_worker_requests(struct metrics *metrics, unsigned worker)
{
	uint64_t codes[METRICS_VALUES_code];

	assert(worker < metrics->workers);
	lock_acquire(&metrics->lock);
	sum_cells(metrics, worker, METRIC_responses, METRICS_VALUES_code, codes);
	lock_release(&metrics->lock);
	return sum_codes(codes);
}

static void sum_process(const struct metrics *metrics, uint64_t *process)
{
	for (unsigned i = 0; i < METRICS_CELLS; i++)
		process[i] = metrics_get(&metrics->process, i) + metrics_get(&metrics->admin, i);
}

void metrics_read(struct metrics *metrics, uint64_t (*rows)[METRICS_CELLS], uint64_t process[METRICS_CELLS])
{
	lock_acquire(&metrics->lock);
	for (unsigned i = 0; i < metrics->workers; i++)
		sum_cells(metrics, i, 0, METRICS_CELLS, rows[i]);
	lock_release(&metrics->lock);
	for (unsigned i = 0; i < metrics->workers; i++)
		rows[i][METRIC_requests] = sum_codes(rows[i] + METRIC_responses);
	sum_process(metrics, process);
	process[METRIC_process_start_time] = 0;
}

void metrics_write(struct metrics *metrics, int worker, enum exposition form, struct outbuf *out)
{
	unsigned first = worker == METRICS_ALL ? 0 : (unsigned)worker;
	unsigned end = worker == METRICS_ALL ? metrics->workers : first + 1;
	struct prometheus_row *rows = malloc((end - first) * sizeof(*rows));
	struct prometheus_snapshot snapshot = { .codes = metrics->codes, .rows = rows, .workers = end - first };
	uint64_t process[METRICS_CELLS];

	assert(end <= metrics->workers);
	if (!rows) {
		out->failed = true;
		return;
	}
	lock_acquire(&metrics->lock);
	for (unsigned i = first; i < end; i++)
		sum_cells(metrics, i, 0, METRICS_CELLS, rows[i - first].cells);
	lock_release(&metrics->lock);
	for (unsigned i = first; i < end; i++) {
		rows[i - first].label = metrics->names[i].label;
		rows[i - first].cells[METRIC_requests] = sum_codes(rows[i - first].cells + METRIC_responses);
	}
	if (worker == METRICS_ALL) {
		sum_process(metrics, process);
		process_read(process);
		snapshot.process = process;
	}
	prometheus_write(&snapshot, form, out);
	free(rows);
}
