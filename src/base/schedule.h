/*
 * schedule.h - how the kernel shares a core between this thread and others.
 *
 * Thread: the one that calls.
 */
#ifndef RMSD_BASE_SCHEDULE_H
#define RMSD_BASE_SCHEDULE_H

/*
 * SCHED_BATCH: the thread no longer pre-empts whoever wakes it, so on a shared core it finds larger batches of events
 * and switches less. Needs no privilege; a refusal is logged once. Threads it starts are scheduled normally.
 */
void schedule_batch(void);

#endif
