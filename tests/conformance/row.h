/*
 * row.h - the rows of the conformance suite: what is sent on a connection of its own, and what may come back.
 *
 * EXPECT is read from left to right: the final replies by status, then how the connection ends.
 *   "400 close"           one reply, then the end of the connection and nothing more
 *   "200 200 keep"        two, and a further request on the connection is answered
 *   "501|400 close"       either status
 *   "?100 ok keep"        with or without an interim reply before it
 *   "H200 keep"           the answer to HEAD: no body, whatever its fields say
 *   "ok"                  200, or 404 or 405 of a server that has no resource for that method: it was understood
 *   "400 any"             the connection may be kept or not
 *   "413 wait"            the rest of what the request announced may be waited for: no end, and nothing more
 *   "close"               the connection ends without a word
 *   "A or B"              of rmsd, A alone is accepted; of others B too, because the RFC leaves the choice
 *
 * WANT, if it is not NULL, lists by ';' what the last reply, or with "N:" the N-th from 0, must have beyond that:
 *   "Name"  "!Name"       a field, or no such field
 *   "Name=value"          that value exactly
 *   "Name~word"           a value that contains the word
 *   "body=text"           that body; asked of servers that echo
 *   "date"                a Date in the one format that may be sent
 *   "same"                the first two replies have the same fields but for Date
 *
 * Thread: constants.
 */
#ifndef RMSD_TESTS_CONFORMANCE_ROW_H
#define RMSD_TESTS_CONFORMANCE_ROW_H

#include <stddef.h>

enum { ROW_STEPS = 8 };

enum step_kind {
	STEP_NONE,
	STEP_SEND,  /* bytes, count times; adjoining ones are sent as one piece */
	STEP_AWAIT, /* waits for one reply more, an interim one too, or for the end of the connection */
	STEP_SHUT,  /* sends no more: half-closes */
	STEP_PAUSE, /* count milliseconds: what was sent is read, most likely, before the rest comes */
};

struct step {
	enum step_kind kind;
	const char *bytes;
	size_t len;
	unsigned count;
};

enum row_flag {
	ROW_OWN = 1, /* of rmsd's own settings: not asked of others */
	ROW_APP = 2, /* of servers that take what is posted to /echo */
};

struct row {
	const char *topic; /* the file that it is in */
	const char *section;
	const char *name;
	const char *expect;
	const char *want;
	unsigned flags;
	struct step steps[ROW_STEPS];
};

extern const struct row rows[];
extern const size_t n_rows;

#endif
