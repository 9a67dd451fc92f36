/* samples.c - quantiles by phase, and the time line. */
#include "rmsctl/samples.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum phase { BEFORE, DURING, AFTER, PHASES };

const char *const outcome_names[OUTCOMES] = {
	[OUTCOME_owed] = "owed",
	[OUTCOME_answered] = "answered",
	[OUTCOME_status] = "status",
	[OUTCOME_closed] = "closed",
	[OUTCOME_reset] = "reset",
	[OUTCOME_timeout] = "timeout",
	[OUTCOME_connect] = "connect",
	[OUTCOME_malformed] = "malformed",
	[OUTCOME_unsent] = "unsent",
};

static enum phase phase_of(const struct samples *samples, uint32_t k, uint64_t from_ns, uint64_t to_ns)
{
	if (!from_ns || samples_done_ns(samples, k) < from_ns)
		return BEFORE;
	return to_ns && samples_due_ns(samples, k) >= to_ns ? AFTER : DURING;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Sorts the values. The quantile is the least value that 99 of 100 do not exceed. */
static struct latency summarise(uint32_t *us, uint32_t n)
{
	struct latency latency = { .n = n };

	if (!n)
		return latency;
	qsort(us, n, sizeof(*us), compare);
	latency.p99_us = us[((uint64_t)n * 99 + 99) / 100 - 1];
	latency.worst_us = us[n - 1];
	return latency;
}

int samples_phases(const struct samples *samples, uint64_t from_ns, uint64_t to_ns, struct latency *before,
	struct latency *during, struct latency *after)
{
	struct latency *const out[PHASES] = { before, during, after };
	uint32_t *us = malloc(((size_t)samples->n + 1) * sizeof(*us));

	if (!us)
		return -ENOMEM;
	for (int phase = 0; phase < PHASES; phase++) {
		uint32_t n = 0;

		for (uint32_t k = 0; k < samples->n; k++)
			if (samples->rows[k].outcome == OUTCOME_answered &&
				phase_of(samples, k, from_ns, to_ns) == (enum phase)phase)
				us[n++] = samples->rows[k].us;
		*out[phase] = summarise(us, n);
	}
	free(us);
	return 0;
}

void samples_slices(const struct samples *samples, uint64_t slice_ns, struct slice *slices, unsigned n)
{
	memset(slices, 0, n * sizeof(*slices));
	for (uint32_t k = 0; k < samples->n; k++) {
		uint64_t at = (samples_done_ns(samples, k) - samples->start_ns) / slice_ns;
		struct slice *slice = &slices[at < n ? at : n - 1];

		if (samples->rows[k].outcome != OUTCOME_answered) {
			slice->failed += samples->rows[k].outcome != OUTCOME_owed;
			continue;
		}
		slice->answered++;
		if (samples->rows[k].us > slice->worst_us)
			slice->worst_us = samples->rows[k].us;
	}
}
