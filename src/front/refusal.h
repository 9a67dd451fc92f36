/*
 * refusal.h - connections that no worker gets: a complete 503 with Retry-After, then a while to let the client read it.
 *
 * Closing at once would send a reset for the request that is on its way, and the reset may overtake the reply. So a few
 * refused ones are kept, half-closed, and what they send is thrown away; the oldest goes when there are too many.
 *
 * Thread: the loop's.
 */
#ifndef RMSD_FRONT_REFUSAL_H
#define RMSD_FRONT_REFUSAL_H

#include <stdint.h>
#include <uv.h>
#include "http/reply.h"

enum { REFUSAL_KEPT = 64, REFUSAL_MS = 1000, REFUSAL_TICK_MS = 50 };

struct refusal {
	uv_timer_t timer; /* active while any is kept */
	struct reply_stamp stamp;
	struct {
		int fd;
		uint64_t until_ms;
	} kept[REFUSAL_KEPT]; /* oldest first */
	unsigned n;
};

void refusal_init(struct refusal *refusal, uv_loop_t *loop);
/* Closes what is kept. */
void refusal_close(struct refusal *refusal);
/* Takes fd, a non-blocking socket. 503, with why as the body. */
void refusal_send(struct refusal *refusal, int fd, const char *why);
/* The same with a reply of the caller's. */
void refusal_reply(struct refusal *refusal, int fd, const struct reply *reply);

#endif
