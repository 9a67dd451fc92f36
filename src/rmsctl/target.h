/*
 * target.h - where the load of a drill goes: from an address as /status tells it to what connect() takes.
 *
 * Thread: the only one; no state.
 */
#ifndef RMSD_RMSCTL_TARGET_H
#define RMSD_RMSCTL_TARGET_H

#include <sys/socket.h>

enum { TARGETS_MAX = 2, TARGET_TEXT = 128 };

struct target {
	struct sockaddr_storage sa;
	socklen_t len;
	char text[TARGET_TEXT]; /* as people write it */
	char host[TARGET_TEXT]; /* as the Host field does */
};

/*
 * The addresses to try, in order: of a listener on every address (":80", "0.0.0.0:80", "[::]:80") those of the loop.
 * How many; 0: it is no address.
 */
unsigned target_choose(const char *address, struct target targets[TARGETS_MAX]);
/* The socket, connected and blocking, or a negative errno. */
int target_connect(const struct target *target);

#endif
