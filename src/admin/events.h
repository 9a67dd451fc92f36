/*
 * events.h - /events: what happens, told to whoever listens, as server-sent events.
 *
 *	id: 17
 *	event: state
 *	data: {"time_ns":N,"time":"...","worker":"app2","state":"down","was":"up","generation":9}
 *
 * Events: state, of a worker; rehomed, the connections of a worker that was lost have others; even, each worker has its
 * share again; drill, its marks; figures, once a second, and at once to a new subscriber (?figures=0: never); before
 * all else, and only if asked for by ?history=1, one history: the seconds and the events before. The control thread
 * posts what the fleet tells; a subscriber who does not read is dropped, and nobody waits for any. What all are told is
 * worked out and framed once.
 *
 * Thread: the admin thread, except events_tell().
 */
#ifndef RMSD_ADMIN_EVENTS_H
#define RMSD_ADMIN_EVENTS_H

#include <uv.h>
#include "base/list.h"
#include "base/outbuf.h"
#include "worker/fleet.h"

struct admin;
struct rms_request;

enum {
	EVENTS_SUBSCRIBERS = 16,   /* at once; connections are left for everything else */
	EVENTS_UNSENT = 64 * 1024, /* bytes that one may be behind */
	EVENTS_PAST = 64,          /* kept for who comes later */
	EVENTS_WAITING = 256,      /* on their way to the admin thread; more are dropped and counted */
};

struct events_past {
	const char *name; /* a literal */
	char data[384];   /* its JSON */
};

struct events {
	struct list subscribers;
	unsigned n;
	uint64_t last_id;
	uv_timer_t second;
	unsigned seconds;                     /* for the keep-alive */
	struct events_past past[EVENTS_PAST]; /* a ring */
	unsigned n_past, next_past;
};

void events_open(struct admin *admin, uv_loop_t *loop);
/* Before the inbox is closed: nobody is told anything any more. */
void events_close(struct admin *admin);
/* The handler of GET /events. */
void events_subscribe(struct rms_request *req, void *state);
/* Tells all; data is one JSON object, and the caller's. */
void events_publish(struct admin *admin, const char *name, const struct outbuf *data);
/* The control thread. Copies event. */
void events_tell(struct admin *admin, const struct fleet_event *event);

#endif
