/*
 * verdict.h - whether what came back is what a row accepts.
 *
 * Thread: any; no state.
 */
#ifndef RMSD_TESTS_CONFORMANCE_VERDICT_H
#define RMSD_TESTS_CONFORMANCE_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "conformance/exchange.h"
#include "conformance/row.h"

/* What a server is held to. */
struct demands {
	bool first; /* the first choice alone, and in every reply a Date, a Content-Type, the truth about the end */
	bool echo;  /* bodies are echoed */
};

enum { VERDICT_SIZE = 512 };

/* False, with what is wrong and what came in short: "400 close" where "200 keep" is expected. */
bool verdict_accept(
	const struct row *row, const struct outcome *outcome, const struct demands *demands, char why[VERDICT_SIZE]);

#endif
