/*
 * drill.h - POST /v1/drill: a worker is lost to order and comes back after a time, while its client watches.
 *
 *	        posted           injected            time over, or the client has gone
 *	NONE ----------> ORDERED ---------> HELD ------------------------------------> REVERTING
 *	  ^  refused       |                                                              | up
 *	  +----------------+          even, or late                                       v
 *	  +-----------------------------------------------------------------------------EVENING
 *
 * The drill is a lease: it lasts as long as its client listens, and is undone without it. A kill or a drain ends at
 * once, and badly, if somebody else brings the worker back in HELD: then it proves nothing. The client gets one JSON
 * object a line, {"event":"begun","time_ns":...}: begun, injected, state and rehomed (of its worker), reverting, even,
 * end; times are of the monotonic clock, which is the same for every process of the machine. /events has its marks.
 * There is one drill at a time. Who judged it may say so afterwards, for the metrics: POST /v1/drill/verdict.
 *
 * Thread: the admin thread.
 */
#ifndef RMSD_ADMIN_DRILL_H
#define RMSD_ADMIN_DRILL_H

#include <stdbool.h>
#include <stdint.h>
#include <rms/rms.h>
#include <uv.h>
#include "base/outbuf.h"
#include "worker/fleet.h"

struct admin;
struct door_mail;

enum drill_phase { DRILL_NONE, DRILL_ORDERED, DRILL_HELD, DRILL_REVERTING, DRILL_EVENING };

struct drill {
	enum drill_phase phase;
	uint64_t number;         /* of drills so far: whose order has come back */
	struct rms_request *req; /* NULL: its client has gone */
	enum fleet_verb verb;
	struct worker *worker;
	uint64_t for_ms;
	uint64_t generation; /* when it was begun */
	/* On the clock of uv_hrtime(); 0: not yet. */
	uint64_t begun_ns, injected_ns, lost_ns, rehomed_ns, back_ns, even_ns;
	struct outbuf early; /* lines from before it was known to be injected */
	uv_timer_t timer;    /* of the phase */
	bool undone;         /* the order that undoes it has been carried out */
	bool stopping;       /* the server is */
	bool aborted;        /* its client has gone before the end, or the server stops */
	bool unjudged;       /* the last one has ended, and waits for its verdict */
};

/* lease.c: the stream, for which nobody waits when the server stops; and a verb like others. */
extern const struct rms_route drill_routes[], drill_verdict[];

void drill_open(struct admin *admin, uv_loop_t *loop);
/* Before the inbox is closed. */
void drill_close(struct admin *admin);
/* Something has happened to a worker. */
void drill_see(struct admin *admin, const struct fleet_event *event);
/* The server stops: a drill that runs ends, and no other begins. */
void drill_stop(struct admin *admin);

/* For lease.c: */

/* "kill" */
const char *drill_action(const struct drill *drill);
/* An event of /events; more begins with a comma, or is "". */
void drill_mark(struct admin *admin, const char *event, uint64_t time_ns, const char *more);
/* Orders it of the drill's worker; arrive() owns the order. req: who asks, or NULL. False: it could not be given. */
struct drill_order;
bool drill_order(struct admin *admin, struct rms_request *req, enum fleet_verb verb, uint64_t for_ms, bool force,
	void (*arrive)(struct door_mail *mail, struct admin *admin));
/* ORDERED to HELD: what was ordered is done. */
void drill_hold(struct admin *admin);

#endif
