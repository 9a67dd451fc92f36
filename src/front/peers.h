/*
 * peers.h - how many connections each client address has.
 *
 * A client is an IPv4 address, also when it is mapped into IPv6, or the /64 network of an IPv6 one: less than that is
 * one household. A unix socket's clients are not counted.
 *
 * Thread: the control thread; a count goes down on any, when its connection is freed (slots_set_peers()).
 */
#ifndef RMSD_FRONT_PEERS_H
#define RMSD_FRONT_PEERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct peers;

/* For at most most connections at once. NULL when out of memory. */
struct peers *peers_create(unsigned most);
void peers_destroy(struct peers *peers); /* accepts NULL */
/* Counts by index; nobody has index 0. */
_Atomic uint32_t *peers_counts(struct peers *peers);
/*
 * A connection from address: counts it, *index is that of its count, 0 if it is not counted. False: its client has
 * limit of them already.
 */
bool peers_add(struct peers *peers, const struct sockaddr *address, uint32_t limit, uint32_t *index);
/* Clients that have an entry: those with a connection, and some that had one. */
unsigned peers_known(const struct peers *peers);

#endif
