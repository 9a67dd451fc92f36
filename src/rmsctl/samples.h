/*
 * samples.h - one row for each request that a load had to send, and what can be asked of them afterwards.
 *
 * Request k is due k/rate seconds after the start, so a row needs no times but how long it took from then on. A load
 * that cannot keep up does not hide that: what waits for a connection waits from when it was due.
 *
 * Thread: the only one; no state.
 */
#ifndef RMSD_RMSCTL_SAMPLES_H
#define RMSD_RMSCTL_SAMPLES_H

#include <stdint.h>

/* What became of a request; all but the first two are failures. */
enum outcome {
	OUTCOME_owed,
	OUTCOME_answered,
	OUTCOME_status, /* neither 2xx nor 3xx */
	OUTCOME_closed, /* the connection ended before the reply did */
	OUTCOME_reset,
	OUTCOME_timeout,   /* no reply when the load had ended */
	OUTCOME_connect,   /* its connection could not be opened again */
	OUTCOME_malformed, /* no HTTP, or more than was asked for */
	OUTCOME_unsent,    /* no connection was free for it to the end */
	OUTCOMES
};

extern const char *const outcome_names[OUTCOMES];

struct sample {
	uint32_t us; /* from due to done; up to 71 minutes */
	uint8_t outcome;
};

struct samples {
	uint64_t start_ns;
	unsigned rate;
	uint32_t n, size;
	struct sample *rows; /* the owner's; pages that are not used cost nothing */
};

/* Latencies of the replies of one phase. */
struct latency {
	uint32_t n, p99_us, worst_us;
};

struct slice {
	uint32_t answered, failed, worst_us;
};

static inline uint64_t samples_due_ns(const struct samples *samples, uint32_t k)
{
	return samples->start_ns + (uint64_t)k * 1000000000 / samples->rate;
}

static inline uint64_t samples_done_ns(const struct samples *samples, uint32_t k)
{
	return samples_due_ns(samples, k) + (uint64_t)samples->rows[k].us * 1000;
}

/*
 * Before: replies that came before from_ns. After: of requests due at to_ns or later. During: all others. 0 stands for
 * a time that has not come. 0 or -ENOMEM.
 */
int samples_phases(const struct samples *samples, uint64_t from_ns, uint64_t to_ns, struct latency *before,
	struct latency *during, struct latency *after);
/* By when they were done, from the start on, slice_ns each; what comes later is in the last. */
void samples_slices(const struct samples *samples, uint64_t slice_ns, struct slice *slices, unsigned n);

#endif
