/*
 * watchdog.h - a loop that has stopped turning, told apart from one that gets no processor.
 *
 * A worker is alive if since the last look it has dealt with a request or an event, or answered a ping. One that was
 * silent for stall_timeout is stalled if for half of that time it was seen to compute, or to sleep in a call of its own
 * (a loop that waits for events would have answered the ping). A thread that could run and was not let is starved, and
 * nobody's fault. A watchdog that comes late has been starved itself, and does not count the time. One that looks
 * seldom, since there is nobody to serve, does not know for how long a worker has had nothing to say: a look counts for
 * no more time than there is between two that are in time.
 *
 * Thread: the control thread; watch_note() is pure.
 */
#ifndef RMSD_WORKER_WATCHDOG_H
#define RMSD_WORKER_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

struct incarnation;

/* What one look at a thread saw, over the time since the last one. */
struct watch_sight {
	uint64_t span_ns;
	bool beat;          /* it showed that it turns */
	bool late;          /* the look itself came too late */
	bool pinged;        /* before this look, and has not answered */
	bool asleep;        /* in a call, with a ping unanswered */
	uint64_t worked_ns; /* processor time it used */
};

/* A worker under watch; zeroed memory: nothing seen yet. */
struct watch {
	uint32_t life;   /* id of the incarnation's owner; another one begins anew */
	bool silent;     /* at the last look */
	bool unanswered; /* a ping, at the last look */
	uint64_t beats, cpu_ns;
	uint64_t silent_ns, worked_ns, slept_ns; /* since the last beat */
};

/* Adds a sight. True: it is stalled. */
bool watch_note(struct watch *watch, const struct watch_sight *sight, uint64_t timeout_ns);

/* How often to look, for a stall_timeout. */
uint64_t watchdog_period_ms(uint64_t timeout_ms);
/* Time between two looks, at the most, if none is late. */
uint64_t watchdog_span_ns(uint64_t timeout_ns);
/* A look that comes so long after its time. */
bool watchdog_is_late(uint64_t late_ms);
/* Looks at an incarnation that serves, span_ns after the last look; pings it if it is silent. True: it is stalled. */
bool watchdog_look(
	struct watch *watch, struct incarnation *incarnation, uint64_t span_ns, bool late, uint64_t timeout_ns);

#endif
