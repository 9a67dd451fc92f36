/*
 * rerun.h - which of the requests lost with a worker run again, and the books on those that do not.
 *
 * loss.h says what may be done with a request; a budget, here, how often in a second.
 *
 * Thread: the control thread, under the lock of the owner that is lost.
 */
#ifndef RMSD_WORKER_RERUN_H
#define RMSD_WORKER_RERUN_H

#include "http/loss.h"
#include "worker/budget.h"
#include "worker/fleet.h"

struct rerun {
	struct fleet *fleet;     /* borrowed, */
	struct metrics *metrics; /* and this */
	struct budget budget;
	uint64_t in_flight; /* requests with the app, of all workers, when the last one was lost */
};

/* A worker is lost: the budget is a share of what is in flight now. */
void rerun_begin(struct rerun *rerun);
/* The request of slot, just detached, is to move or to wait: perhaps it is refused. Returns its fate, which may change.
 */
enum loss_fate rerun_judge(
	struct rerun *rerun, const struct worker *from, struct slot *slot, enum loss_kind kind, enum loss_fate fate);
/* A streamed reply with that status, of the request of slot, ends in the middle. */
void rerun_account_cut(struct worker *from, struct slot *slot, int status);

#endif
