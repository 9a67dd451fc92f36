/*
 * judge.h - whether replies are those that a strict server gives to a stream of requests.
 *
 * Thread: any; no state.
 */
#ifndef RMSD_TESTS_JUDGE_H
#define RMSD_TESTS_JUDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "support/oracle.h"

enum judge_end { JUDGE_OPEN, JUDGE_EOF, JUDGE_RESET };

struct judge_case {
	/* The stream sent, the bytes that came, and how the connection ended. */
	const char *sent, *came;
	size_t sent_len, came_len;
	enum judge_end end;
	/* What was found. */
	const char *wrong; /* NULL: nothing */
	size_t at;         /* how much of the stream was looked at: where the last request of interest begins */
	size_t whole;      /* bytes of replies that were whole */
	bool complete;     /* nothing more is to come but the connection's end */
	unsigned served, refused, partial, either;
};

/* request: room for what the oracle says of each. */
void judge_replies(struct judge_case *c, struct oracle_request *request);

#endif
