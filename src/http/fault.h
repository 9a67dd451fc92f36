/*
 * fault.h - replies spoiled on purpose, for drills: a table of faults, and what they do to a request.
 *
 * A fault delays requests, or answers them with a status in their handler's place. It looks at those of one worker or
 * of any, on paths with a prefix or on any, and hits a percentage of what it looks at, spread evenly: of any hundred in
 * a row exactly so many. Faults are asked in the order in which they were added and the first that hits is the only
 * one; so a second fault looks at what the first has left over. Each ends by itself when its time is over.
 *
 * A request that is hit has an ordinary handler, which stands in for the route's: kills, re-runs and streams need to
 * know nothing of faults. A delayed request is a deferred one until its route's handler is called. Answers that are in
 * no request counter are not spoiled.
 *
 * Thread: faults_*(): any, the lock is a leaf; fault_*() and delays_*(): the service's.
 */
#ifndef RMSD_HTTP_FAULT_H
#define RMSD_HTTP_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "base/list.h"
#include "base/lock.h"
#include "conf/value.h"

struct rms_request;
struct service;

enum { FAULTS_MAX = 16, FAULT_PATH_MAX = 256, FAULT_WORKER_MAX = VALUE_NAME_MAX + 8 };

struct fault {
	unsigned id;                   /* from 1, never given again */
	int status;                    /* sent in the handler's place; 0: it is a delay */
	uint64_t delay_ms;             /* before the handler is called */
	unsigned percent;              /* 1 to 100 */
	char worker[FAULT_WORKER_MAX]; /* "": any */
	char path[FAULT_PATH_MAX];     /* a prefix, "": any */
	uint64_t until_ns;             /* on the clock of uv_hrtime() */
	uint64_t hits;
	unsigned owed; /* per cent of a hit, from the requests that were let go */
};

struct faults {
	_Atomic unsigned active; /* how many are in the table; written under the lock */
	struct lock lock;        /* guards the rest; nothing is done under it but looking through the table */
	unsigned last_id;
	struct fault table[FAULTS_MAX]; /* the oldest first */
};

void faults_init(struct faults *faults);
void faults_finish(struct faults *faults);
/* Copies fault, but for id, hits and owed. Its id; 0: the table is full. */
unsigned faults_add(struct faults *faults, const struct fault *fault);
/* Ends the one with that id, or all if it is 0. How many there were. */
unsigned faults_clear(struct faults *faults, unsigned id);
/* Ends those whose time is over. How many are left. */
unsigned faults_expire(struct faults *faults, uint64_t now_ns);
/* Copies those whose time is not over. How many there are. */
unsigned faults_list(struct faults *faults, uint64_t now_ns, struct fault copies[FAULTS_MAX]);
/* The fault that hits a request, as it is then; false: none does. */
bool faults_choose(struct faults *faults, const char *worker, const char *path, uint64_t now_ns, struct fault *chosen);

/* What the path of a request asks first. NULL: never. */
static inline bool faults_active(const struct faults *faults)
{
	return faults && atomic_load_explicit(&faults->active, memory_order_relaxed);
}

/* A request of the service that is about to be handled: if a fault hits it, another handler stands in for its own. */
void fault_apply(struct service *service, struct rms_request *req);

/* The requests that a service holds back. Embedded in struct service. */
struct delays {
	uv_timer_t timer;    /* runs while any waits */
	struct list waiting; /* the one that is due first, first */
};

void delays_open(struct service *service);
/* Those that wait are never called. */
void delays_close(struct service *service);

#endif
