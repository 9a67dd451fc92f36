/*
 * fleet.h - the workers: start all, kill, revive, drain, replace; who is up, how many connections each has.
 *
 * A worker is a name, app1 to appN, with one incarnation after another. What others may read of it at any time is in
 * atomics that the control thread alone writes; verbs come as orders, by mail.
 *
 * Thread: the control thread, except fleet_post(), fleet_worker(), fleet_size(), worker_*() and the atomics.
 */
#ifndef RMSD_WORKER_FLEET_H
#define RMSD_WORKER_FLEET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>
#include "base/list.h"
#include "base/mailbox.h"
#include "http/slots.h"
#include "metrics/metrics.h"
#include "worker/incarnation.h"
#include "worker/restart.h"
#include "worker/watchdog.h"

struct fleet;
struct pulse;

struct worker {
	/* Constant. */
	struct fleet *fleet;
	unsigned index, weight;
	unsigned port; /* its own; 0: none */
	char name[VALUE_NAME_MAX + 8];
	struct metrics_shard *control; /* the control thread writes it */

	/* Control thread writes, any reads. */
	_Atomic int state;         /* enum metrics_state */
	_Atomic uint64_t since_ms; /* of the state, Unix time */
	_Atomic uint64_t restarts; /* thread starts after the first */

	/* Control thread. */
	struct incarnation *now;          /* the one that serves, or will; NULL: none. Older ones may still be ending */
	struct incarnation *stuck;        /* stalled, and still has its connections; NULL: none */
	struct incarnation *put_to_sleep; /* by an operator's stall; NULL: none, or it has ended */
	uint64_t stuck_ms;                /* since when, on uv_hrtime()'s clock */
	bool started;                     /* now's app has started */
	struct watch watch;               /* of now */
	struct restart restart;
	uint64_t up_ms;          /* when it was last up from; uv_hrtime()'s clock */
	uint64_t start_at_ms;    /* when it is to be started again; 0: not */
	unsigned start_why;      /* enum metrics_restart, of that start */
	uint64_t drain_until_ms; /* while draining */
	bool drain_again;        /* start it again when it is down */
	uint64_t drain_moved;    /* moved_away when it began */
	bool drain_alone;        /* nobody else was up: what it lets go waits */
	uint64_t moved_away;     /* connections that others have got from it, ever */
	uint64_t cut_off;        /* connections closed or reset with it, since they could not move, ever */
	struct list waiting;     /* orders that end when it is up */
	struct list draining;    /* orders that end when it is down */
};

enum fleet_verb { FLEET_KILL, FLEET_REVIVE, FLEET_DRAIN, FLEET_RESTART, FLEET_STALL, FLEET_SHUTDOWN };
enum { FLEET_VERBS = FLEET_SHUTDOWN + 1 };

/* A verb on its way to the control thread and back. Embedded by who posts it, who owns it again from done() on. */
struct fleet_order {
	struct mail mail;
	enum fleet_verb verb;
	unsigned worker;
	bool force;
	bool wait;           /* drain: done when the worker is down; else as soon as it drains */
	uint64_t timeout_ms; /* drain, restart: then what is left is taken as in a kill; 0: FLEET_DRAIN_MS */
	uint64_t for_ms;     /* stall: how long; 0: one that goes on ends */
	bool if_generation;  /* only if that is the number of changes so far: */
	uint64_t generation_wanted;
	void (*done)(struct fleet_order *order); /* on the control thread */

	/* The answer: error is "" when ok. */
	int status; /* HTTP's */
	char error[128];
	bool changed;
	int was, state; /* before and after */
	unsigned rehomed;
	unsigned cut;                   /* connections that could not move: closed or reset */
	uint64_t begun_ns, duration_ns; /* on the clock of uv_hrtime() */
	uint64_t generation;

	struct list_node node;
	unsigned victims; /* incarnations whose connections are still to be taken for it */
	uint64_t moved_before, cut_before;
};

enum { FLEET_DRAIN_MS = 30000 };

enum fleet_event_kind {
	FLEET_STATE,   /* worker is in another state */
	FLEET_REHOMED, /* all connections of a worker that was lost have another one; count of them */
	FLEET_EVEN,    /* each worker has its share of the connections again */
};

/* Something that operators want to know; lent for the call. */
struct fleet_event {
	enum fleet_event_kind kind;
	uint64_t time_ns; /* on the clock of uv_hrtime() */
	uint64_t generation;
	struct worker *worker; /* NULL: of none */
	enum metrics_state state, was;
	enum metrics_rehomed reason;
	unsigned count;
};

/* What the layers above do for the fleet, on the control thread. */
struct fleet_hooks {
	void *arg;
	/* The worker for the connection fd; NULL: none is up. */
	struct worker *(*pick)(void *arg, int fd);
	/*
	 * Before a worker is up, and before it is no longer: its own port is to listen, or to refuse. 0 or a negative
	 * UV_ code.
	 */
	int (*port)(void *arg, struct worker *worker, bool open);
	void (*event)(void *arg, const struct fleet_event *event);
	/* Answers a connection that no worker will take, and closes it. */
	void (*refuse)(void *arg, int fd);
	void (*shutdown)(void *arg);
};

struct fleet_setup {
	const struct conf *conf;
	struct slots *slots;
	int limit; /* of descriptors */
	struct metrics *metrics;
	const struct rms_app *app;
	const struct router *routers[ROLES];
	struct faults *faults;         /* what spoils the workers' replies */
	struct access_log *access_log; /* NULL: none */
	struct fleet_hooks hooks;
};

/* Names and shards; no thread yet. On the pulse's loop; it is lent until fleet_close(). 0 or a negative UV_ code. */
int fleet_create(const struct fleet_setup *setup, struct pulse *pulse, struct fleet **out);
/* Closes its handles on the loop; every incarnation has ended. */
void fleet_close(struct fleet *fleet);
void fleet_destroy(struct fleet *fleet); /* accepts NULL; after fleet_close() and a turn of the loop */
/* Starts all workers. 0, or a negative UV_ code and some may run. */
int fleet_start(struct fleet *fleet);
/* Any thread. Takes order until order->done(). UV_ECANCELED: the fleet is being taken down. */
int fleet_post(struct fleet *fleet, struct fleet_order *order);
unsigned fleet_size(const struct fleet *fleet);
struct worker *fleet_worker(struct fleet *fleet, unsigned index);
/* Any thread. The number of changes so far. */
uint64_t fleet_generation(const struct fleet *fleet);

static inline enum metrics_state worker_state(const struct worker *worker)
{
	return (enum metrics_state)atomic_load_explicit(&worker->state, memory_order_acquire);
}

/* Any thread. How many are up. */
unsigned fleet_up(const struct fleet *fleet);
/* Any thread. Some worker is stalled, and cannot be replaced: too many threads are stuck already. */
bool fleet_is_stuck(const struct fleet *fleet);
/* The worker that balance gives the connection fd to; NULL: none is up. */
struct worker *fleet_pick(struct fleet *fleet, int fd);
/* For level.c: the shares are even again. */
void fleet_tell_even(struct fleet *fleet);

/* Connections that worker, which is up, has now. */
int64_t worker_load(const struct worker *worker);

/* A connection just accepted, its slot open: hands it to worker, or closes it if that cannot be. */
void fleet_give(struct fleet *fleet, struct worker *worker, int fd);
/* Services that the sweep of deadlines looks after besides the workers': the admin thread's. */
void fleet_watch(struct fleet *fleet, struct service *service);
/*
 * Lets connections go as they become idle; to be called again while there are any, since one may just have moved. Then,
 * in fleet_stop(), every incarnation ends.
 */
void fleet_close_idle(struct fleet *fleet);
/*
 * Closes at most most of the connections with these roles, workers' or admin's, that have been idle for the longest, if
 * any has been for long: evict.h.
 */
unsigned fleet_evict(struct fleet *fleet, unsigned roles, unsigned most);
/* Connections of all workers, and those that one will have in a moment. */
int64_t fleet_connections(const struct fleet *fleet);
/*
 * No worker has a connection or will have one in a moment (those that wait for one to be up do not count), and none is
 * on its way up or down or leaves a ping without an answer: what the fleet looks after can wait for a slow pulse.
 */
bool fleet_is_calm(const struct fleet *fleet);
/* Takes everything down; cut is the number of requests that had no answer yet. Ends by itself: see fleet_running(). */
void fleet_stop(struct fleet *fleet, unsigned *cut);
/* Incarnations whose thread has not ended. */
unsigned fleet_running(const struct fleet *fleet);

#endif
