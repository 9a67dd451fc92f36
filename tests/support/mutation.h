/*
 * mutation.h - well-formed requests, and what spoils them: byte by byte, line by line, and by what fools parsers.
 *
 * In each request "########" stands for a number of eight digits, by which its reply is told from every other. Behind
 * its head, in its body or in a field it may carry another request, for /echo/smuggled-########, that a server which
 * is not fooled does not run.
 *
 * Thread: any; no state but the random one's.
 */
#ifndef RMSD_TESTS_MUTATION_H
#define RMSD_TESTS_MUTATION_H

#include <stddef.h>
#include <stdint.h>

enum { MUTATION_MAX = 4096 }; /* bytes of a request, mutated or not */

struct mutation_random {
	uint64_t state;
};

/* Its own sequence for each pair of numbers. */
struct mutation_random mutation_seed(uint64_t seed, uint64_t index);
/* Less than n, which is not 0. */
unsigned mutation_below(struct mutation_random *random, unsigned n);

unsigned mutation_seeds(void);
/* The request number seed, with number in it, to bytes, which has room for MUTATION_MAX. Returns its length. */
size_t mutation_request(unsigned seed, unsigned number, char *bytes);
/* Spoils len bytes in place, once or twice, and returns the new length. */
size_t mutation_apply(struct mutation_random *random, char *bytes, size_t len);

#endif
