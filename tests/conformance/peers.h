/*
 * peers.h - other servers, run for comparison with a configuration as near to rmsd's as they have one.
 *
 * Thread: the test's.
 */
#ifndef RMSD_TESTS_CONFORMANCE_PEERS_H
#define RMSD_TESTS_CONFORMANCE_PEERS_H

#include <sys/types.h>

struct peer_server {
	const char *name; /* "nginx", "haproxy", "apache2" */
	const char *address;
	const char *version;
	const char *dir;
	pid_t pid;
};

/* False, and a line on stderr: it is not there. One that is and does not start fails the test. */
_Bool peer_start(struct peer_server *peer, const char *name);
void peer_stop(struct peer_server *peer);

#endif
