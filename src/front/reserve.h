/*
 * reserve.h - descriptors kept back for admin and control, and the pause of all other doors when they run short.
 *
 * The kernel gives the lowest free descriptor. So a connection whose number is close to the limit tells that they run
 * out, whoever has them: the app may. Then the public doors pause, and go on when the lowest free number is well below
 * that mark. They pause too when accept() itself says that there are none, or no memory.
 *
 * Thread: the loop's.
 */
#ifndef RMSD_FRONT_RESERVE_H
#define RMSD_FRONT_RESERVE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "metrics/metrics.h"

enum {
	RESERVE_TICK_MS = 100,   /* between two looks, while paused */
	RESERVE_QUIET_MS = 1000, /* without another pause, and the shortage is over: for the log */
	RESERVE_SPARES = 4,      /* descriptors held to be closed for a connection to admin or control */
};

/* The public doors are to pause, or to go on. */
typedef void reserve_fn(void *arg, bool paused);

struct reserve {
	uv_timer_t tick; /* active while short */
	int limit, kept; /* of descriptors: how many there may be; of them for admin, control, and what rmsd opens */
	int high, low;   /* a descriptor from high on: pause; one below low is free: go on */
	bool paused;
	bool is_short; /* from the first pause until there has been none for a while */
	uint64_t since_ms, resumed_ms;
	int spares[RESERVE_SPARES];
	unsigned n_spares;
	struct metrics_shard *shard;
	reserve_fn *changed;
	void *arg;
};

/* 0 or a negative UV_ code; reserve_close() in any case. */
int reserve_open(struct reserve *reserve, uv_loop_t *loop, int limit, int kept, struct metrics_shard *shard,
	reserve_fn *changed, void *arg);
void reserve_close(struct reserve *reserve);
/* Whether a connection that got fd is one too many. */
static inline bool reserve_is_reached(const struct reserve *reserve, int fd)
{
	return fd >= reserve->high;
}
/* Pauses; err, an errno, is why. */
void reserve_pause(struct reserve *reserve, int err);
/* For admin and control, whose accept() found no descriptor: frees one of the spares. False: there is none left. */
bool reserve_lend(struct reserve *reserve);

#endif
