/*
 * barrage.h - streams of spoiled requests through many connections, and a judge of every reply to them.
 *
 * Each connection sends a few requests, most of them mutated, in random cuts, and then half-closes, stays open or
 * resets. The oracle says where each request ends: there must be a reply to each that is to be served, with the body
 * that only it can have, an error where one is to be refused, and behind that not one byte more. So bytes inside a
 * malformed request that are run as one of their own show, whatever they ask for.
 *
 * Thread: barrage_start() begins some of its own; the functions are the test's.
 */
#ifndef RMSD_TESTS_BARRAGE_H
#define RMSD_TESTS_BARRAGE_H

#include <stdbool.h>
#include <stdint.h>

struct barrage_plan {
	const char *address;           /* of a testapp */
	uint64_t seed;                 /* the same seed, the same streams */
	uint64_t requests;             /* mutated ones, that the server was to look at */
	unsigned threads, connections; /* connections of each thread at a time */
	unsigned patience_ms;          /* that a connection may take from its first byte to its end */
};

struct barrage_result {
	uint64_t requests; /* mutated */
	uint64_t connections, served, refused, partial, either, resets;
	const char *failure; /* NULL: none; kept until the program ends */
};

struct barrage;

/* NULL: out of descriptors or memory. */
struct barrage *barrage_start(const struct barrage_plan *plan);
/* Mutated requests so far. */
uint64_t barrage_requests(const struct barrage *barrage);
/* All were sent and judged, or one failed. */
bool barrage_over(const struct barrage *barrage);
/* Waits for its end and frees it. */
void barrage_join(struct barrage *barrage, struct barrage_result *result);

#endif
