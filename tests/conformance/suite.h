/*
 * suite.h - all rows against one server, several connections at a time.
 *
 * Thread: the test's.
 */
#ifndef RMSD_TESTS_CONFORMANCE_SUITE_H
#define RMSD_TESTS_CONFORMANCE_SUITE_H

#include <stdbool.h>

#include "conformance/verdict.h"

struct suite {
	const char *name;
	const char *address;
	struct demands demands;
	bool cuts;     /* each row also in pieces */
	unsigned skip; /* rows with one of these flags are left out */
	int patience_ms;
};

/* Runs them and prints those that do not hold; the number of rows, and in *run how many were run. */
unsigned suite_run(const struct suite *suite, unsigned *run);

#endif
