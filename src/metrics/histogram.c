/* histogram.c - a binary search without branches over 16 bounds. */
#include "metrics/histogram.h"

#include <math.h>

/* X(seconds, the same as OpenMetrics spells floats, nanoseconds) */
#define BOUNDS(X) \
	X("0.0001", "0.0001", 100000) \
	X("0.00025", "0.00025", 250000) \
	X("0.0005", "0.0005", 500000) \
	X("0.001", "0.001", 1000000) \
	X("0.0025", "0.0025", 2500000) \
	X("0.005", "0.005", 5000000) \
	X("0.01", "0.01", 10000000) \
	X("0.025", "0.025", 25000000) \
	X("0.05", "0.05", 50000000) \
	X("0.1", "0.1", 100000000) \
	X("0.25", "0.25", 250000000) \
	X("0.5", "0.5", 500000000) \
	X("1", "1.0", 1000000000) \
	X("2.5", "2.5", 2500000000) \
	X("5", "5.0", 5000000000) \
	X("10", "10.0", 10000000000) \
	X("+Inf", "+Inf", UINT64_MAX)

#define NS(le, canonical, ns) ns,
#define LE(le, canonical, ns) le,
#define CANONICAL(le, canonical, ns) canonical,
const uint64_t histogram_bounds[HISTOGRAM_BUCKETS] = { BOUNDS(NS) };
const char *const histogram_le[HISTOGRAM_BUCKETS] = { BOUNDS(LE) };
const char *const histogram_le_canonical[HISTOGRAM_BUCKETS] = { BOUNDS(CANONICAL) };

unsigned histogram_bucket(uint64_t ns)
{
	const uint64_t *bounds = histogram_bounds;
	unsigned i = 0;

	_Static_assert(HISTOGRAM_BUCKETS == 17, "the steps below are for 16 bounds");
	i += 8u * (ns > bounds[i + 7]);
	i += 4u * (ns > bounds[i + 3]);
	i += 2u * (ns > bounds[i + 1]);
	i += ns > bounds[i];
	return i + (ns > bounds[15]);
}

void histogram_cumulate(const uint64_t buckets[HISTOGRAM_BUCKETS], uint64_t cumulative[HISTOGRAM_BUCKETS])
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		cumulative[i] = sum += buckets[i];
}

double histogram_quantile(const uint64_t buckets[HISTOGRAM_BUCKETS], double q)
{
	static const double ns_per_s = 1e9;
	uint64_t cumulative[HISTOGRAM_BUCKETS], below;
	double rank, least, most;
	unsigned i = 0;

	histogram_cumulate(buckets, cumulative);
	if (!cumulative[HISTOGRAM_BUCKETS - 1])
		return (double)NAN;
	rank = q * (double)cumulative[HISTOGRAM_BUCKETS - 1];
	while (i < HISTOGRAM_BUCKETS - 1 && (double)cumulative[i] < rank)
		i++;
	if (i == HISTOGRAM_BUCKETS - 1)
		return (double)histogram_bounds[i - 1] / ns_per_s;
	below = i ? cumulative[i - 1] : 0;
	least = i ? (double)histogram_bounds[i - 1] : 0;
	most = (double)histogram_bounds[i];
	if (!buckets[i])
		return least / ns_per_s; /* q is 0 */
	return (least + (most - least) * (rank - (double)below) / (double)buckets[i]) / ns_per_s;
}
