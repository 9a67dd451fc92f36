/*
 * clock.h - the time that only goes forward, and its beats.
 *
 * Thread: any, except as said.
 */
#ifndef RMSD_BASE_CLOCK_H
#define RMSD_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>
#include <uv.h>

/* In ns, as uv_hrtime() tells it; without the calls around clock_gettime(), for what each request asks. */
static inline uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/*
 * On the loop's thread. Starts a timer that repeats at the multiples of period_ms; called in its callback, it stays on
 * them however late that was. So the timers of a loop wake it together.
 */
static inline void clock_beat(uv_timer_t *timer, uv_timer_cb call, uint64_t period_ms)
{
	/* Cannot fail but for a NULL callback or a timer that is closing. */
	uv_timer_start(timer, call, period_ms - uv_now(timer->loop) % period_ms, period_ms);
}

#endif
