/*
 * latency.h - how long things took: counts in buckets that are never wider than a sixteenth of their value.
 *
 * Thread: one.
 */
#ifndef RMSD_TESTS_LATENCY_H
#define RMSD_TESTS_LATENCY_H

#include <stdint.h>

enum { LATENCY_STEPS = 16, LATENCY_BUCKETS = 40 * LATENCY_STEPS };

/* All zero: empty. Unit: microseconds. */
struct latency {
	uint64_t count, worst;
	uint64_t buckets[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, uint64_t us);
/* What a share of 0 to 1 of all values did not exceed, rounded up to the bucket's end; 0 if there are none. */
uint64_t latency_quantile(const struct latency *latency, double share);

#endif
