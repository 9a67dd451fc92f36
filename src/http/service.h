/*
 * service.h - what one thread serves its connections with: the owner of their slots, its routes, its buffers, its turn.
 *
 * A service sits on a uv_loop: one for each incarnation of a worker, one for the admin thread. A turn of the loop takes
 * at most POLLSET_BATCH events or TURN_NS, and CONN_REQUESTS requests of one connection; what is left over waits in the
 * ready queue, so that the loop's timers, and whoever wants the lock, get in between.
 *
 * Thread: the loop's, except as said.
 */
#ifndef RMSD_HTTP_SERVICE_H
#define RMSD_HTTP_SERVICE_H

#include <uv.h>
#include "base/list.h"
#include "base/outbuf.h"
#include "conf/conf.h"
#include "http/fault.h"
#include "http/recent.h"
#include "http/reply.h"
#include "http/slots.h"
#include "metrics/metrics.h"

struct access;
struct access_log;
struct router;
struct service;

enum {
	SERVICE_READ_SIZE = 64 * 1024, /* the most that one recv takes */
	SERVICE_KICKS = 256,           /* kicks kept; the sweep comes again for the rest */
};

/* What a service is made of; all of it is borrowed until service_close() has ended. */
struct service_setup {
	const struct conf *conf;
	struct slots *slots;
	const struct router *routers[ROLES]; /* NULL: no connection comes by that door */
	const char *worker;                  /* the name that handlers and replies give */
	void *state;                         /* the app's */
	struct metrics_shard *shard;         /* written here alone */
	struct faults *faults;               /* NULL: its replies are never spoiled */
	struct access_log *access_log;       /* NULL: none */
	void *arg;                           /* for release() */
	/* On the service's thread and under its lock: the slot of fd, in nobody's hands now, wants another owner. */
	void (*release)(struct service *service, int fd);
};

/* A large body, to be sent behind the batch from where it is. */
struct tail {
	const char *bytes;
	size_t len;    /* 0: none */
	bool is_block; /* from malloc(), to be freed; else static */
};

struct service {
	struct owner owner;

	/* Constant while the thread runs. */
	struct service_setup set;
	const char *worker;
	void *state;
	uv_loop_t *loop;
	struct message_limits limits;
	struct access *access; /* under the owner's lock; NULL: no access log */

	/* Control thread. */
	int64_t given;                   /* connections given to it, less those taken from it */
	_Atomic bool leave;              /* stop between two events: about to be revoked */
	_Atomic bool draining;           /* connections to the worker's own port close as they become idle */
	_Atomic bool closing;            /* shutdown: connections close as they become idle */
	_Atomic uint32_t release_wanted; /* connections to let go at their next request boundary; counted down here */

	_Atomic uint64_t pinged_ns; /* when it was woken only to show that it turns; 0: it has answered */

	_Atomic uint64_t stalled_until_ns; /* any thread sets it: the loop's sleeps until then */

	/* Written by the loop's thread, read by any. */
	_Atomic uint64_t beats;   /* grows with each request and turn that is done, and with each answer to a ping */
	_Atomic uint64_t busy_ns; /* time spent between waiting for events */
	_Atomic uint64_t lag_ns;  /* how long the last ping waited for its answer */

	/* Any thread, under kick_lock. */
	struct lock kick_lock;
	uint64_t kicks[SERVICE_KICKS];
	unsigned n_kicks;
	uv_async_t wakeup;

	/* The loop's thread. */
	bool paused;      /* serves nobody any more */
	uv_idle_t idle;   /* active while the ready queue, due or owed is not empty */
	uint64_t turn_ns; /* when this turn began */
	uint64_t now_ns;  /* the newest look at the clock */
	struct reply_stamp stamp;
	struct recent recent; /* the parse of a request that is here whole */
	struct outbuf batch;  /* the replies of one connection's turn */
	struct tail tail;     /* and what is behind them; sent before the lock is given up or more is appended */
	char *block;          /* of a large body that was sent, for the next one; NULL: none */
	struct outbuf piece;  /* of a body, while the app has it */
	struct list due;      /* deferred requests that have a reply, or a part of one, for their connection */
	struct list owed;     /* those whose on_room is to be called */
	struct list live;     /* the others */
	struct list spare;    /* empty requests, for the next one */
	struct delays delays; /* of requests that a fault holds back */
	uint64_t *ready;      /* tags of connections with whole requests left over */
	unsigned n_ready, ready_cap;
	char read_buffer[SERVICE_READ_SIZE];
};

/* 0 or a negative UV_ code; on failure there is nothing to undo. By the thread that will start the loop's. */
int service_open(struct service *service, const struct service_setup *setup, uv_loop_t *loop);
/*
 * Closes the handles on the loop. The owner has been revoked, or has no slots. Requests that the app still holds are
 * freed by service_finish().
 */
void service_close(struct service *service);
/* Once the thread has ended, by any: frees the rest. No slot names the owner any more. */
void service_finish(struct service *service);

/* Whether slot's connection closes as soon as it has its replies. */
static inline bool service_is_ending(const struct service *service, const struct slot *slot)
{
	return atomic_load_explicit(&service->closing, memory_order_relaxed) ||
		(slot->role == ROLE_WORKER && atomic_load_explicit(&service->draining, memory_order_relaxed));
}

/* What all connections together may keep in buffers; 0: no bound, as for admin, which is answered at any load. */
static inline uint64_t service_most(const struct service *service)
{
	return service->set.routers[ROLE_PUBLIC] ? service->set.conf->max_buffer_memory : 0;
}

/* Something counts for bytes from now on, and for *charged so far. False: no more may grow, and it counts as before. */
bool service_charge(const struct service *service, size_t *charged, size_t bytes);

/* On the loop's thread: no connection is looked at any more. */
void service_pause(struct service *service);
/* A request has been dealt with: the loop turns. */
static inline void service_beat(struct service *service)
{
	/* One writer, so no read-modify-write. */
	atomic_store_explicit(
		&service->beats, atomic_load_explicit(&service->beats, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* Any thread: look at the connection with this tag, its deadline has passed. */
void service_kick(struct service *service, uint64_t tag);
/* Any thread: run the loop once, to see leave, closing or release_wanted. */
void service_wake(struct service *service);
/* Control thread: lets the loop show that it turns, in beats and lag_ns; it may be asked again before it has. */
void service_ping(struct service *service);
/*
 * Any thread, for drills: the loop's thread sleeps for so long as soon as its loop turns, as in a handler that is
 * stuck: without the lock, and deaf to whatever it is asked. 0: one that sleeps goes on.
 */
void service_stall(struct service *service, uint64_t ms);

/* Its thread is to end: tells the app, of each streamed reply, that nobody takes it any more. On the loop's thread. */
void service_abandon(struct service *service);

/* For reply.c and stream.c: a deferred request has its reply, or a part of one. */
void service_due(struct service *service, struct rms_request *req);
/* Lets on_room be called, if the app has set one. */
void service_owe(struct service *service, struct rms_request *req);
/* Nobody takes the reply of a deferred request any more. */
void service_gone(struct service *service, struct rms_request *req);
/* For conn.c: let this connection go on in a later turn. */
void service_queue(struct service *service, struct slot *slot, uint64_t tag) REQUIRES(service->owner.lock);
/* For reply.c: size bytes as from malloc(), and for the next call to be given back. */
char *service_take_block(struct service *service, size_t size);
void service_keep_block(struct service *service, char *block);
/* For handling.c: an empty request; NULL when out of memory. Kept while the app has it; and back. */
struct rms_request *service_request(struct service *service);
void service_keep(struct service *service, struct rms_request *req);
void service_spare(struct service *service, struct rms_request *req);

#endif
