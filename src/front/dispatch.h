/*
 * dispatch.h - pick the worker for a connection; hand it over, or refuse it.
 *
 * The picking is a pure function over a few numbers. Least connections is exact and process-wide: the least
 * (connections + 1) / weight among those that are up, by cross-multiplication. Ties go round by smooth weighted round
 * robin, so that idle load spreads and the first worker is not favoured. ip_hash is rendezvous hashing: each address
 * has an order of preference among the workers, so a loss moves only the lost worker's clients, and they come back.
 *
 * Thread: the control thread.
 */
#ifndef RMSD_FRONT_DISPATCH_H
#define RMSD_FRONT_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "conf/value.h"

enum { DISPATCH_MAX = 64, DISPATCH_NONE = -1 };

struct dispatch_candidate {
	bool up;
	unsigned weight; /* at least 1 */
	int64_t load;    /* connections it has */
	int64_t turn;    /* of smooth round robin: dispatch_pick()'s own, 0 at first */
};

/* The index of the one picked, DISPATCH_NONE if none is up. key: of the client's address, for BALANCE_IP_HASH. */
int dispatch_pick(enum value_balance balance, struct dispatch_candidate *candidates, unsigned n, uint64_t key);
/* The same for every connection of an address, IPv4 also when mapped into IPv6; 0 for a unix socket. */
uint64_t dispatch_key(const struct sockaddr *address);

#endif
