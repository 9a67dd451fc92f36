/*
 * serving.h - a connection of the product without its threads: one socket pair, real slots, two real services on one
 * loop, bytes in, replies out.
 *
 * What is idle is idle: a run ends when a turn of the loop brings nothing, so nothing here waits for time.
 *
 * Thread: one.
 */
#ifndef RMSD_TESTS_SERVING_H
#define RMSD_TESTS_SERVING_H

#include <stdbool.h>

#include "fuzz/fuzz.h"
#include "http/service.h"

struct serving_setup {
	const struct router *routers[ROLES];
	enum slot_role role;
	struct faults *faults;
	const char *const *overrides; /* of the conf */
	size_t n_overrides;
	/* Answers what handlers have deferred; false: there was nothing. */
	bool (*attend)(void);
	uv_loop_t *loop;
};

/* How the client ends. */
enum serving_end {
	SERVING_SHUT,   /* closes its side, and reads */
	SERVING_EXPIRE, /* is silent until its time is over, and again until the server has closed */
	SERVING_GONE,   /* closes */
};

struct serving_plan {
	const char *bytes;
	size_t len;
	struct fuzz_cuts cuts;
	enum serving_end end;
	bool moves;    /* another service takes the connection behind each piece */
	bool deferred; /* and that before deferred requests are answered */
	bool late;     /* the kernel takes little, and the client reads only when nothing else is to be done */
};

/* What came of it. */
struct serving_end_state {
	bool reset; /* a streamed reply could not move */
};

/* Once. */
void serving_start(const struct serving_setup *setup);
struct conf *serving_conf(void);
struct slots *serving_slots(void);
const struct message_limits *serving_limits(void);
/* A connection, from its first byte to its last; all that the server sent, appended to replies. */
void serving_run(const struct serving_plan *plan, struct outbuf *replies, struct serving_end_state *end);

#endif
