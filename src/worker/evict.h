/*
 * evict.h - makes room for newcomers: closes the connections that have been idle for the longest.
 *
 * It only moves their deadlines to now: the owner looks again under its lock, as at any deadline, and one that has just
 * become busy stays.
 *
 * Thread: the control thread.
 */
#ifndef RMSD_WORKER_EVICT_H
#define RMSD_WORKER_EVICT_H

#include <stdint.h>

struct sweep;

enum {
	/* An active keep-alive client pauses for less between two requests: it is never cut. */
	EVICT_IDLE_MS = 2000,
	EVICT_TICK_MS = 100, /* at most so often is the table looked through */
};

/* The oldest of many, in a heap whose first is the youngest of them. */
struct evict_pick {
	uint64_t since_ms;
	int fd;
};

/*
 * pick joins the n of picks, at most most; or takes the place of the youngest if it is older. Returns how many there
 * are then.
 */
unsigned evict_offer(struct evict_pick *picks, unsigned n, unsigned most, struct evict_pick pick);
/* Of enum slot_role, for evict_idle(). */
#define EVICT_CLIENTS (1U << ROLE_PUBLIC | 1U << ROLE_WORKER)
#define EVICT_ADMIN (1U << ROLE_ADMIN | 1U << ROLE_CONTROL)
/*
 * Of the connections with these roles, lets at most most go that wait for their next request since EVICT_IDLE_MS or
 * more, less those that are about to go anyway; keepalive_ms: what their deadlines were made with. Returns how many.
 */
unsigned evict_idle(struct sweep *sweep, unsigned roles, uint64_t keepalive_ms, unsigned most);

#endif
