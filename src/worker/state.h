/*
 * state.h - what fleet.c, orders.c, loss.c, drain.c and stall.c know together, and nobody else.
 *
 * fleet.c has the workers and their threads; orders.c does what an operator asks for; the others are how a worker goes:
 * at once, when it has the time, or stuck; and how it comes back without being asked to.
 *
 * Thread: the control thread, but for the atomics.
 */
#ifndef RMSD_WORKER_STATE_H
#define RMSD_WORKER_STATE_H

#include "worker/fleet.h"
#include "worker/level.h"
#include "worker/mover.h"
#include "worker/sweep.h"

enum { FLEET_ENDING_MAX = 8 }; /* and one a worker: threads that have lost their connections and not ended */

struct fleet {
	struct fleet_setup set;
	uv_loop_t *loop;
	struct mailbox orders, news;
	struct mover *mover;
	struct level level;
	struct sweep sweep;
	uv_timer_t retry;   /* active while connections wait to be taken, or a worker drains */
	struct beat watch;  /* looks at who is stuck, and who is to be started */
	uint64_t looked_ns; /* when watch last did */
	struct list taking; /* incarnation_loss: whose connections are still to be taken */
	unsigned running;   /* incarnations that have not ended */
	unsigned abandoned; /* of those, stuck ones that nobody waits for */
	bool stopping;
	_Atomic uint64_t generation;
	_Atomic bool stuck;
	unsigned n_workers;
	struct worker workers[];
};

/* fleet.c */

/* Returns what came of its own port: 0, or a negative UV_ code if it should listen and does not. */
int fleet_enter(struct worker *worker, enum metrics_state state);
static inline uint64_t fleet_now_ms(void)
{
	return uv_hrtime() / 1000000;
}

void fleet_tell(struct fleet *fleet, struct fleet_event *event);
/* There is something to look after, now: see fleet_is_calm(). */
static inline void fleet_rouse(struct fleet *fleet)
{
	pulse_slow(fleet->watch.pulse, false);
}
/* A new incarnation, which becomes worker->now. The state is the caller's. 0 or a negative UV_ code. */
int fleet_spawn(struct worker *worker);
/* The same, by restart policy or order, and counted; enters STARTING unless it is STALLED. */
int fleet_start_again(struct worker *worker, enum metrics_restart why);
/* worker serves, for the first time or again: what waited for that goes on. */
void fleet_serve(struct worker *worker);
/* One more thread may be started beside those that have not ended. */
bool fleet_has_room(const struct fleet *fleet);

/* orders.c: a mailbox_fn, of orders; owner is the fleet */
void orders_take(struct mail *mail, void *owner);
void orders_finish(struct fleet *fleet, struct fleet_order *order);
__attribute__((format(printf, 4, 5))) void orders_refuse(
	struct fleet *fleet, struct fleet_order *order, int status, const char *format, ...);
/* All that wait for worker to be up, or to be down. */
void orders_refuse_waiting(struct worker *worker, const char *why);
void orders_refuse_draining(struct worker *worker, const char *why);
void orders_finish_waiting(struct worker *worker);
void orders_finish_draining(struct worker *worker);

/* loss.c */

/* The incarnation of worker leaves: its connections are taken, at once or as soon as its lock can be had. */
void loss_begin(
	struct worker *worker, struct incarnation *incarnation, enum metrics_rehomed reason, struct fleet_order *order);
/* Tries again to take what could not be taken. */
void loss_try_all(struct fleet *fleet);
/* Its thread has ended: nothing of it is left to be taken. */
void loss_ended(struct worker *worker, struct incarnation *incarnation);
/* The worker failed, all of its incarnations are gone: starts it again when restart policy says so. */
void loss_restart_later(struct worker *worker, enum metrics_restart why);
/* Starts it as soon as there is room for a thread more: at once, or a little later. 0 or a negative UV_ code. */
int loss_start_now(struct worker *worker, enum metrics_restart why);
/* A thread has ended: there may be room for what is to be started. */
void loss_start_due(struct fleet *fleet);
/* Until all is taken and nobody drains: tries every 2 ms. */
void loss_keep_trying(struct fleet *fleet);

/* drain.c */

/* worker, which is up, gives its connections away as they come to rest. again: and then starts again. */
void drain_begin(struct worker *worker, uint64_t timeout_ms, bool again);
/* It drains already: from now on for good, and within timeout_ms at the latest. */
void drain_hasten(struct worker *worker, uint64_t timeout_ms);
/* If it drains: it keeps them. */
void drain_end(struct worker *worker);
/* It has nothing any more, or what it has is taken now. */
void drain_finish(struct worker *worker, enum metrics_rehomed reason);
/* One step of all that drain; false: none does. */
bool drain_go_on(struct fleet *fleet);

/* stall.c */

void stall_init(struct fleet *fleet, struct pulse *pulse);
void stall_start_watching(struct fleet *fleet);

#endif
