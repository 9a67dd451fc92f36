/*
 * histogram.h - the bounds of the latency buckets, and which bucket a value is in.
 *
 * Thread: any; there is nothing but constants.
 */
#ifndef RMSD_METRICS_HISTOGRAM_H
#define RMSD_METRICS_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 17 }; /* the last one has no bound */

/* Upper bounds, inclusive, in nanoseconds; the last is UINT64_MAX. */
extern const uint64_t histogram_bounds[HISTOGRAM_BUCKETS];
/* The same in seconds, as the label le has them. */
extern const char *const histogram_le[HISTOGRAM_BUCKETS];
/* The same as OpenMetrics spells them: 1.0, not 1. */
extern const char *const histogram_le_canonical[HISTOGRAM_BUCKETS];

unsigned histogram_bucket(uint64_t ns);
/* The value of each le: how many were that long or shorter. The last is the count of all. */
void histogram_cumulate(const uint64_t buckets[HISTOGRAM_BUCKETS], uint64_t cumulative[HISTOGRAM_BUCKETS]);
/*
 * The quantile q, from 0 to 1, in seconds, of values that are in buckets: straight lines between the bounds, as
 * Prometheus' histogram_quantile() has it, so that both say the same. What is beyond the last bound is that bound. NaN
 * if there are no values.
 */
double histogram_quantile(const uint64_t buckets[HISTOGRAM_BUCKETS], double q);

#endif
