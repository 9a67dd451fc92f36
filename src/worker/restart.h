/*
 * restart.h - when a worker that failed is started again: soon, then later and later, and not for ever.
 *
 * As Docker's restart policy: the delay doubles with each failure and is forgotten once the worker has been up for a
 * while. A worker that fails too often in a minute is given up, which is better told than hidden.
 *
 * Thread: any; pure but for the struct.
 */
#ifndef RMSD_WORKER_RESTART_H
#define RMSD_WORKER_RESTART_H

#include <stdint.h>

enum {
	RESTART_FIRST_MS = 100,
	RESTART_MOST_MS = 10000,
	RESTART_CALM_MS = 10000, /* up for so long: the next failure is a first one */
	RESTART_PER_MINUTE = 5,
	RESTART_GIVE_UP = -1,
};

/* Zeroed: nothing has failed yet. */
struct restart {
	unsigned failures;                      /* in a row */
	unsigned next;                          /* of failed_ms: where the next one goes */
	uint64_t failed_ms[RESTART_PER_MINUTE]; /* the last failures, 0: none */
};

/* It failed at now_ms, having been up for up_ms. In how many ms to start it again, or RESTART_GIVE_UP. */
int restart_after(struct restart *restart, uint64_t now_ms, uint64_t up_ms);
/* An operator started it: what was is forgotten. */
void restart_forget(struct restart *restart);

#endif
