/*
 * level.h - an even share of the connections for each worker that is up.
 *
 * A worker that is back gets its share at once. Otherwise a worker has to be above its share by a tenth, and by two
 * connections at the least, for half a second before any moves, and then they move slowly: dispatch keeps the shares
 * even, so that only clients that leave, or work that is not alike, make them uneven. A worker that is much busier than
 * the others for two seconds has its share reduced by a tenth, again and again while that lasts, and gets it back in
 * the same steps; it has to be more than half busy, and twice as busy as the rest.
 *
 * Thread: the control thread; the level_*() functions on sides are pure.
 */
#ifndef RMSD_WORKER_LEVEL_H
#define RMSD_WORKER_LEVEL_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "base/beat.h"
#include "conf/conf.h"

struct fleet;
struct mover;
struct worker;

enum {
	LEVEL_SIDES = 64,
	LEVEL_FULL = 1000,   /* a whole share, and a whole core, in thousandths */
	LEVEL_LEAST = 200,   /* of its share that a busy worker keeps */
	LEVEL_STEP = 100,    /* by which a share changes */
	LEVEL_LOOK_MS = 100, /* between two looks at whether the shares are even */
	LEVEL_TICK_MS = 2,   /* between two moves */
	LEVEL_SLOW = 4,      /* connections a tick, without a newcomer: 2,000 a second */
};

/* What one worker has. */
struct level_side {
	bool up;
	int64_t load; /* connections */
	unsigned weight;
	unsigned share; /* of what its weight gives it: LEVEL_LEAST to LEVEL_FULL */
	unsigned busy;  /* of LEVEL_FULL */
	int64_t fixed;  /* surplus that would not move when it was tried: connections to its own port, long requests */
	unsigned hot, cool; /* looks in a row at which it was much busier than the rest, and at which it was not */
};

/* How many connections side i has above its share of all; below, 0 or less. At least one is up. */
int64_t level_surplus(const struct level_side *sides, unsigned n, unsigned i);
/* Whether it is worth moving any: see above, less the half second. */
bool level_uneven(const struct level_side *sides, unsigned n);
/* A look: changes the share of who has been hot or cool for long enough. */
void level_weigh(struct level_side *sides, unsigned n);

struct level {
	struct fleet *fleet;
	struct mover *mover;
	bool enabled, hashed;
	struct beat look;
	uv_timer_t tick;
	bool fast;               /* a worker is new: no limit to what moves at once */
	unsigned ticks_left;     /* of moving; then whoever still has too many keeps them */
	unsigned uneven;         /* looks in a row */
	unsigned looks;          /* since fixed was forgotten */
	unsigned quiet;          /* ticks in a row in which nothing moved */
	uint64_t moved;          /* connections that ever moved, as of the last tick */
	struct worker *newcomer; /* the one that levelling began with; NULL: none */
	uint64_t looked_ns;
	uint64_t busy_ns[LEVEL_SIDES]; /* as of the last look */
	uint32_t lives[LEVEL_SIDES];   /* whose busy_ns that was: owner ids */
	struct level_side sides[LEVEL_SIDES];
};

void level_start(
	struct level *level, struct fleet *fleet, struct mover *mover, const struct conf *conf, struct pulse *pulse);
void level_close(struct level *level);
/* worker is up: it gets its share from the others over the next ticks. */
void level_welcome(struct level *level, struct worker *worker);
/* Whoever has too many keeps them. */
void level_end(struct level *level);
/* For mover_hooks: the worker that is furthest below its share; arg is the level. */
struct worker *level_receiver(void *arg, int fd);

#endif
