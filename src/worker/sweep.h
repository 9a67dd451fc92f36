/*
 * sweep.h - looks at every connection's deadline, in slices, so that no connection needs a timer.
 *
 * A deadline stands in its slot and moves with it. The sweep only reads; who is late is told to its owner by a kick,
 * and the owner looks again under its lock.
 *
 * Thread: the control thread.
 */
#ifndef RMSD_WORKER_SWEEP_H
#define RMSD_WORKER_SWEEP_H

#include "base/beat.h"
#include "http/service.h"

struct mover;

enum {
	SWEEP_TICK_MS = 50,
	SWEEP_SLICES = 4,     /* so each slot is seen every 200 ms; with a slow pulse, every 250 */
	SWEEP_SERVICES = 160, /* at once: 64 workers, as many that are still ending, admin */
};

struct sweep {
	struct slots *slots;
	struct mover *mover;
	struct beat beat;
	int next; /* the fd where the next slice begins */
	struct service *services[SWEEP_SERVICES];
	unsigned n_services;
};

void sweep_start(struct sweep *sweep, struct slots *slots, struct mover *mover, struct pulse *pulse);
void sweep_close(struct sweep *sweep);
/* If the deadline of fd's slot has passed: whoever it is about is told now. */
void sweep_look_at(struct sweep *sweep, int fd, uint64_t now_ms);
/* Its connections are looked after from now on; until sweep_drop(), service is lent. */
void sweep_add(struct sweep *sweep, struct service *service);
void sweep_drop(struct sweep *sweep, struct service *service);

#endif
