/* evict.c - a heap over one walk through the table. */
#include "worker/evict.h"

#include <stdlib.h>

#include "worker/sweep.h"

static void swap(struct evict_pick *a, struct evict_pick *b)
{
	struct evict_pick c = *a;

	*a = *b;
	*b = c;
}

static void sift_down(struct evict_pick *picks, unsigned n)
{
	unsigned at = 0;

	for (;;) {
		unsigned child = 2 * at + 1;

		if (child >= n)
			return;
		if (child + 1 < n && picks[child + 1].since_ms > picks[child].since_ms)
			child++;
		if (picks[at].since_ms >= picks[child].since_ms)
			return;
		swap(&picks[at], &picks[child]);
		at = child;
	}
}

unsigned evict_offer(struct evict_pick *picks, unsigned n, unsigned most, struct evict_pick pick)
{
	if (n == most) {
		if (n && pick.since_ms < picks[0].since_ms) {
			picks[0] = pick;
			sift_down(picks, n);
		}
		return n;
	}
	picks[n] = pick;
	for (unsigned at = n; at && picks[at].since_ms > picks[(at - 1) / 2].since_ms; at = (at - 1) / 2)
		swap(&picks[at], &picks[(at - 1) / 2]);
	return n + 1;
}

/* False: whoever is evicted next has just become busy. */
static bool evict(struct sweep *sweep, struct evict_pick pick, uint64_t keepalive_ms, uint64_t now_ms)
{
	struct slot *slot = slots_at(sweep->slots, pick.fd);
	uint64_t seen = (pick.since_ms + keepalive_ms) | SLOT_AT_REST;

	if (!atomic_compare_exchange_strong_explicit(
		    &slot->deadline_ms, &seen, now_ms, memory_order_relaxed, memory_order_relaxed))
		return false;
	sweep_look_at(sweep, pick.fd, now_ms);
	return true;
}

unsigned evict_idle(struct sweep *sweep, unsigned roles, uint64_t keepalive_ms, unsigned most)
{
	struct evict_pick *picks = most ? malloc(most * sizeof(*picks)) : NULL;
	uint64_t now_ms = uv_hrtime() / 1000000;
	unsigned n = 0, leaving = 0, evicted = 0;

	if (!picks)
		return 0;
	for (int fd = 0; fd < slots_end(sweep->slots); fd++) {
		struct slot *slot = slots_at(sweep->slots, fd);
		uint64_t raw = atomic_load_explicit(&slot->deadline_ms, memory_order_relaxed);
		uint64_t deadline = raw & ~SLOT_AT_REST;

		/* The role is this thread's to write. */
		if (!deadline || !slot_owner(slot) || !(roles >> slot->role & 1))
			continue;
		if (deadline <= now_ms)
			leaving++;
		else if ((raw & SLOT_AT_REST) && deadline - now_ms + EVICT_IDLE_MS <= keepalive_ms)
			n = evict_offer(picks, n, most, (struct evict_pick){ deadline - keepalive_ms, fd });
	}
	/* The youngest of them stay, as many as go by themselves. */
	for (; n && leaving; leaving--) {
		picks[0] = picks[--n];
		sift_down(picks, n);
	}
	for (unsigned i = 0; i < n; i++)
		evicted += evict(sweep, picks[i], keepalive_ms, now_ms);
	free(picks);
	return evicted;
}
