/*
 * load.h - the load of a drill: many connections, a constant rate, and exact books.
 *
 * Each connection has one request on its way at the most, so its reply is whose turn it is. A request that is due goes
 * out on the connection that has been idle the longest; if none is, on the next that becomes so. A connection that was
 * lost is opened again when its turn comes: who sends on it waits for that.
 *
 * The caller runs the epoll set: what it reports under a number below the plan's connections is load_event()'s, and
 * load_turn() is to be called behind each batch of events and, by a timer, often enough for the rate.
 *
 * Thread: the only one.
 */
#ifndef RMSD_RMSCTL_LOAD_H
#define RMSD_RMSCTL_LOAD_H

#include "base/outbuf.h"
#include "rmsctl/samples.h"
#include "rmsctl/target.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load;

enum { STATUSES = 600 };

/* Borrowed until load_destroy(). */
struct load_plan {
	const struct target *target;
	const char *request; /* as it goes out, every time */
	size_t request_len;
	unsigned connections, rate;
	uint32_t most; /* requests that it has rows for; then nothing is due any more */
};

struct load_books {
	struct samples samples;
	uint64_t by[OUTCOMES]; /* rows of each outcome */
	uint64_t sent;         /* given to a connection */
	uint64_t closed_idle;  /* connections without a request that ended, or brought what nobody had asked for */
	uint64_t pause_ns;     /* the longest time in which no reply came though one was owed */
	uint64_t late_ns;      /* the longest that we were late ourselves: more than a few ms says a busy machine */
	uint32_t statuses[STATUSES]; /* replies by status */
};

static inline uint64_t load_failed(const struct load_books *books)
{
	uint64_t n = 0;

	for (int i = OUTCOME_answered + 1; i < OUTCOMES; i++)
		n += books->by[i];
	return n;
}

/* Nanoseconds of CLOCK_MONOTONIC, as rmsd's time_ns are. */
uint64_t load_clock_ns(void);
/* Opens all connections. 0 and a load; or a negative errno, and why holds one line. */
int load_create(const struct load_plan *plan, int epoll, struct load **out, struct outbuf *why);
void load_destroy(struct load *load); /* accepts NULL */
/* Request 0 is due at now_ns. */
void load_begin(struct load *load, uint64_t now_ns);
void load_event(struct load *load, uint64_t number, uint32_t events);
/* Sends what is due by due_ns, which is now_ns or, in the end, before. */
void load_turn(struct load *load, uint64_t due_ns, uint64_t now_ns);
/* Nothing is owed. */
bool load_is_done(const struct load *load);
/* Gives up what is owed: the books are complete. */
void load_give_up(struct load *load, uint64_t now_ns);
const struct load_books *load_books(const struct load *load);

#endif
