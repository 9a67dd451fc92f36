/* budget.c - a count over the last second, in slices. */
#include "worker/budget.h"

static const uint64_t SLICE_NS = UINT64_C(1000000) * BUDGET_WINDOW_MS / BUDGET_SLICES;

static void slide(struct budget *budget, uint64_t now_ns)
{
	uint64_t slice = now_ns / SLICE_NS;
	uint64_t passed = slice - budget->slice;

	for (uint64_t i = 0; i < passed && i < BUDGET_SLICES; i++)
		budget->used[(slice - i) % BUDGET_SLICES] = 0;
	budget->slice = slice;
}

bool budget_take(struct budget *budget, uint64_t now_ns, uint64_t in_flight)
{
	uint64_t most = in_flight * BUDGET_PERCENT / 100, used = 0;

	slide(budget, now_ns);
	for (unsigned i = 0; i < BUDGET_SLICES; i++)
		used += budget->used[i];
	if (used >= (most > BUDGET_FLOOR ? most : BUDGET_FLOOR))
		return false;
	budget->used[budget->slice % BUDGET_SLICES]++;
	return true;
}
