/*
 * incarnation.h - one life of a worker: a thread, its loop, its copy of the app's state, its numbers.
 *
 * A worker (fleet.h) is a name that has one incarnation after another. The control thread creates one, gives it
 * connections, revokes it and, when its thread has ended, joins and frees it; it never waits for it. The admin thread
 * is an incarnation too, of an app of rmsd's own.
 *
 * Thread: the control thread, except as said.
 */
#ifndef RMSD_WORKER_INCARNATION_H
#define RMSD_WORKER_INCARNATION_H

#include <stdbool.h>
#include <time.h>
#include <uv.h>
#include <rms/app.h>
#include "base/mailbox.h"
#include "http/service.h"

struct incarnation;

/* What its thread tells the control thread, by mail; news says which. */
enum incarnation_news { INCARNATION_STARTED, INCARNATION_FAILED, INCARNATION_ENDED };

/* What its owner notes of an incarnation that loses its connections. */
struct incarnation_loss {
	struct list_node node;
	struct incarnation *incarnation;
	struct fleet_order *order; /* that it is for; NULL: none */
	unsigned reason;           /* enum metrics_rehomed */
	unsigned moved;
	uint64_t since_ms; /* when it began */
	bool abandoned;    /* its thread is stuck */
	bool told;         /* an operator was, that it takes long */
};

struct incarnation_mail {
	struct mail mail;
	enum incarnation_news news;
	struct incarnation *incarnation;
};

struct incarnation_setup {
	const struct conf *conf;
	struct slots *slots;
	const struct router *routers[ROLES];
	const struct rms_app *app;
	struct faults *faults;         /* NULL: its replies are never spoiled */
	struct access_log *access_log; /* NULL: none */
	void *state;                   /* borrowed; NULL: app->state_size zeroed bytes of its own */
	const char *name;              /* of the worker; the thread's name too */
	bool batch;                    /* schedule_batch() for its thread */
	struct mailbox *control;       /* where the news go */
	void *owner;                   /* for whoever reads the news: incarnation_owner(); service.set.arg too */
	void (*release)(struct service *service, int fd);
};

/*
 * Starts a thread. News: STARTED once the app's start() has run and the loop turns; FAILED, if it refused, or
 * later, if the app has stopped its loop: from then on it serves nobody; and in any case, once it was asked to leave,
 * ENDED, the last. Connections may be given to it at once. 0 or a negative UV_ code.
 */
int incarnation_start(const struct incarnation_setup *setup, struct incarnation **out);
struct service *incarnation_service(struct incarnation *incarnation);
struct metrics_shard *incarnation_shard(struct incarnation *incarnation);
void *incarnation_owner(struct incarnation *incarnation);
/* The owner's to fill in. */
struct incarnation_loss *incarnation_loss(struct incarnation *incarnation);
/* Once STARTED: its thread's id, and the clock of the processor time that the thread uses. */
int incarnation_tid(struct incarnation *incarnation);
clockid_t incarnation_clock(struct incarnation *incarnation);
/* Asks the thread to end: between two events, or when its handler returns. It may still wait for an event. */
void incarnation_ask_to_leave(struct incarnation *incarnation);
/*
 * Wakes it to end, once its slots have been taken: the last call about it until ENDED.
 */
void incarnation_wake(struct incarnation *incarnation);
/* After ENDED: joins the thread, which takes no time, and closes what the incarnation has. */
void incarnation_join(struct incarnation *incarnation);
void incarnation_free(struct incarnation *incarnation);

#endif
