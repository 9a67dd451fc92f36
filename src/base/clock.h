/*
 * clock.h - the time that only goes forward.
 *
 * Thread: any.
 */
#ifndef RMSD_BASE_CLOCK_H
#define RMSD_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* In ns, as uv_hrtime() tells it; without the calls around clock_gettime(), for what each request asks. */
static inline uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#endif
