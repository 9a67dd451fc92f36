/*
 * mover.h - takes connections from one incarnation and gives them to another.
 *
 * The one way a connection changes hands; rules in slots.h. Kill and rebalance are the same operation with another
 * choice of slots.
 *
 * Thread: the control thread; mover_release() a worker's, under its service's lock.
 */
#ifndef RMSD_WORKER_MOVER_H
#define RMSD_WORKER_MOVER_H

#include <stdbool.h>
#include "worker/fleet.h"

struct mover;

/*
 * 0 or a negative UV_ code. pick and refuse as in fleet_hooks; limit: the descriptor limit; hashed: pick() depends on
 * the connection alone.
 */
int mover_create(struct fleet *fleet, const struct fleet_hooks *hooks, struct slots *slots, int limit, bool hashed,
	uv_loop_t *loop, struct mover **out);
void mover_destroy(struct mover *mover); /* accepts NULL; after mover_close() */
/* No worker runs any more: closes what waits for one, and the handles. */
void mover_close(struct mover *mover);

/* Gives the slot of fd, in the caller's hands, to an incarnation of worker. false: it could not be, and is closed. */
bool mover_give(struct mover *mover, struct worker *worker, int fd, bool now);
/*
 * Revokes the incarnation and takes all its slots: those that may move go to the others, or wait for one to be up; the
 * rest are closed. moved counts the first. false: its lock is busy, try again next tick.
 */
bool mover_take_all(
	struct mover *mover, struct worker *from, struct incarnation *incarnation, unsigned reason, unsigned *moved);
/* Closes all its slots, revoked; cut counts the requests without an answer. false as above. */
bool mover_close_all(struct mover *mover, struct worker *from, struct incarnation *incarnation, unsigned *cut);
/* worker is up: what waited for one is given out, and it gets its share from the others over the next ticks. */
void mover_welcome(struct mover *mover, struct worker *worker);
/* Whoever has too many keeps them. */
void mover_end_levelling(struct mover *mover);
/* If slot waits for a worker to be up: its deadline has passed, so it is refused. false: it is somebody else's. */
bool mover_expire(struct mover *mover, struct slot *slot);
/* For service.release. */
void mover_release(struct mover *mover, int fd);

#endif
