/*
 * query.h - the arguments of a verb, behind the '?' of its target: which there are, and how each is read.
 *
 * Thread: any; no state.
 */
#ifndef RMSD_ADMIN_QUERY_H
#define RMSD_ADMIN_QUERY_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/outbuf.h"

/* Every argument that a verb may have, by its name in the query, in lower case. */
enum query_name {
	QUERY_ACTION,
	QUERY_DELAY,
	QUERY_FIGURES,
	QUERY_FOR,
	QUERY_FORCE,
	QUERY_HISTORY,
	QUERY_ID,
	QUERY_IF_GENERATION,
	QUERY_PASSED,
	QUERY_PATH,
	QUERY_PERCENT,
	QUERY_STATUS,
	QUERY_TIMEOUT,
	QUERY_TTL,
	QUERY_WAIT,
	QUERY_WORKER,
	QUERY_NAMES,
};

/* A set of them, or'ed. */
#define QUERY_BIT(name) (1u << (name))

struct query_value {
	bool given;
	uint64_t number;  /* 0 if not given; a duration's in ms */
	const char *text; /* decoded, NUL-terminated UTF-8 without control characters; NULL if not given */
};

struct query {
	struct query_value values[QUERY_NAMES];
};

/*
 * Reads text, whose memory is the arena's afterwards. needed: of those accepted, which must be there. False: error says
 * what is wrong and what is accepted, NUL-terminated; that may be out of memory.
 */
bool query_read(struct query *query, const char *text, struct arena *arena, unsigned accepted, unsigned needed,
	struct outbuf *error);
/* Decodes %XX in place. False: there is a '%' without two digits, or the result is no text. */
bool query_decode(char *text);

#endif
