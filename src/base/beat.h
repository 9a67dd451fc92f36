/*
 * beat.h - what a loop looks after at regular times; seldom, as long as there is nothing to look after.
 *
 * The beats of one pulse come at the multiples of their periods, so that they wake their loop together. A slow pulse
 * wakes it four times a second, whatever their periods are. A pulse that changes may bring a beat forward, and never
 * puts one off: who changes it all the time starves nobody.
 *
 * Thread: the loop's.
 */
#ifndef RMSD_BASE_BEAT_H
#define RMSD_BASE_BEAT_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "base/list.h"

enum { BEAT_SLOW_MS = 250 };

struct pulse {
	uv_loop_t *loop;
	bool slow;
	struct list beats;
};

struct beat {
	struct list_node node; /* of the pulse's beats */
	struct pulse *pulse;
	uv_timer_t timer;
	uint64_t period_ms; /* unless the pulse is slow */
	uint64_t due_ms;    /* on uv_hrtime()'s clock */
	uint64_t late_ms;   /* by how much the last one came too late */
	void (*call)(void *arg);
	void *arg;
};

/* Not slow. */
void pulse_init(struct pulse *pulse, uv_loop_t *loop);
/*
 * To be called whenever there is, or no longer is, something to look after; costs nothing if that is no news. Slow:
 * from the next time of each beat on. Not slow: at once.
 */
void pulse_slow(struct pulse *pulse, bool slow);

/* Period: BEAT_SLOW_MS at the most. The pulse is lent until beat_close(). */
void beat_init(struct beat *beat, struct pulse *pulse, uint64_t period_ms, void (*call)(void *arg), void *arg);
void beat_start(struct beat *beat);
/* The beat's memory is the loop's until its handles have closed. */
void beat_close(struct beat *beat);

#endif
