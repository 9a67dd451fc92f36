/*
 * budget.h - how many requests may be run again after stalls and failures.
 *
 * When workers fall over their requests, running all of these again makes the others fall too. So in any second no more
 * than a fifth of the requests in flight are run again, but always a few. What an operator asked for is not counted.
 *
 * Thread: the control thread.
 */
#ifndef RMSD_WORKER_BUDGET_H
#define RMSD_WORKER_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum {
	BUDGET_FLOOR = 3,
	BUDGET_PERCENT = 20,
	BUDGET_WINDOW_MS = 1000,
	BUDGET_SLICES = 10, /* the window slides by a tenth of itself */
};

/* Zeroed memory is a fresh one. */
struct budget {
	uint64_t slice; /* the newest, on the clock of uv_hrtime() */
	uint64_t used[BUDGET_SLICES];
};

/* One more of in_flight requests? If so, it is counted. */
bool budget_take(struct budget *budget, uint64_t now_ns, uint64_t in_flight);

#endif
