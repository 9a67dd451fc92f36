/* latency.c - a log-linear histogram. */
#include "support/latency.h"

/* Below LATENCY_STEPS a bucket is one value; above, each power of two is cut into LATENCY_STEPS. */
static unsigned bucket_of(uint64_t us)
{
	unsigned shift;

	if (us < LATENCY_STEPS)
		return (unsigned)us;
	shift = 63u - (unsigned)__builtin_clzll(us) - 4;
	if (shift > LATENCY_BUCKETS / LATENCY_STEPS - 2)
		return LATENCY_BUCKETS - 1;
	return (shift + 1) * LATENCY_STEPS + (unsigned)(us >> shift) - LATENCY_STEPS;
}

static uint64_t last_of(unsigned bucket)
{
	unsigned shift = bucket / LATENCY_STEPS;

	if (!shift)
		return bucket;
	return (((uint64_t)bucket % LATENCY_STEPS + LATENCY_STEPS + 1) << (shift - 1)) - 1;
}

void latency_add(struct latency *latency, uint64_t us)
{
	latency->buckets[bucket_of(us)]++;
	latency->count++;
	if (us > latency->worst)
		latency->worst = us;
}

uint64_t latency_quantile(const struct latency *latency, double share)
{
	uint64_t seen = 0, target = (uint64_t)((double)latency->count * share + 0.5);
	unsigned i;

	if (!target)
		target = 1;
	for (i = 0; latency->count && i < LATENCY_BUCKETS; i++) {
		seen += latency->buckets[i];
		if (seen >= target)
			return last_of(i) < latency->worst ? last_of(i) : latency->worst;
	}
	return latency->worst;
}
