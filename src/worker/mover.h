/*
 * mover.h - takes connections from one incarnation and gives them to another.
 *
 * The one way a connection changes hands; rules in slots.h. Kill and rebalance are the same operation with another
 * choice of slots. What becomes of the request on it is loss.h's to say; of those that it lets run again after a stall
 * or a failure, no more do than rerun.h allows.
 *
 * A connection that nobody serves is held by an owner without a thread: waiting, while no worker is up; parked, while
 * its request may only run again when the thread that had it first has ended, which a stuck one may not do in
 * MOVER_PARK_MS.
 *
 * Thread: the control thread; mover_release() a worker's, under its service's lock.
 */
#ifndef RMSD_WORKER_MOVER_H
#define RMSD_WORKER_MOVER_H

#include <stdbool.h>
#include "worker/fleet.h"

struct mover;

enum {
	MOVER_AT_ONCE = 512,  /* connections that one shed takes: about a millisecond of the giver's lock */
	MOVER_PARK_MS = 1000, /* then the client is told that the outcome is unknown */
};

/* The worker for a connection that a live one lets go; NULL: none is up. */
typedef struct worker *mover_receiver_fn(void *arg, int fd);

/*
 * 0 or a negative UV_ code. Of setup's hooks: pick() for connections that have lost their worker, refuse() for those
 * that wait for one in vain.
 */
int mover_create(struct fleet *fleet, const struct fleet_setup *setup, mover_receiver_fn *receiver, void *arg,
	uv_loop_t *loop, struct mover **out);
void mover_destroy(struct mover *mover); /* accepts NULL; after mover_close() */
/* No worker runs any more: closes what waits for one, and the handles. */
void mover_close(struct mover *mover);

/* Gives the slot of fd, in the caller's hands, to an incarnation of worker. false: it could not be, and is closed. */
bool mover_give(struct mover *mover, struct worker *worker, int fd, bool now);
/*
 * Revokes the incarnation and takes all its slots: those that may move go to the others, or wait for one to be up; the
 * rest are closed. moved counts those that have another worker now. reason, as which they are counted, says what kind
 * of loss it is too. false: its lock is busy, try again next tick.
 */
bool mover_take_all(
	struct mover *mover, struct worker *from, struct incarnation *incarnation, unsigned reason, unsigned *moved);
/* Closes all its slots, revoked; cut counts the requests without an answer. false as above. */
bool mover_close_all(struct mover *mover, struct worker *from, struct incarnation *incarnation, unsigned *cut);
/*
 * Moves up to n connections at rest away from a live worker, at most MOVER_AT_ONCE; what is busy it lets go itself, at
 * its next request boundary, until mover_end_shed(). only: none but those that pick() gives to it (NULL: any). Returns
 * how many were found, or n if the worker's lock was busy: call again next tick.
 */
unsigned mover_shed(struct mover *mover, struct worker *from, struct worker *only, unsigned n, unsigned reason);
/* from keeps what it has. */
void mover_end_shed(struct worker *from);
/* The thread of incarnation, which is not freed yet, has ended: what was parked for that goes on. */
void mover_ended(struct mover *mover, struct incarnation *incarnation);
/* Connections that are parked: a worker will have them in a moment. */
unsigned mover_parked(const struct mover *mover);
/* A worker is up: what waited for one is given out. */
void mover_give_waiting(struct mover *mover);
/* If slot waits or is parked: its deadline has passed, so it is refused. false: it is somebody else's. */
bool mover_expire(struct mover *mover, struct slot *slot);
/* Whether a worker has let go connections that nobody has yet. */
bool mover_has_released(struct mover *mover);
/* For service.release. */
void mover_release(struct mover *mover, int fd);

#endif
