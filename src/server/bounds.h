/*
 * bounds.h - how much there may be: descriptors, connections, connections of a client, memory in buffers.
 *
 * Thread: the control thread.
 */
#ifndef RMSD_SERVER_BOUNDS_H
#define RMSD_SERVER_BOUNDS_H

#include "server/state.h"

/* What is freed after a peak goes back to the system; before there are other threads. */
void bounds_return_memory(void);
/* As many descriptors as the system allows; and from that server's limit and max_connections. */
void bounds_raise_limit(struct server *server);
/* What counts against them. 0 or a negative UV_ code. */
int bounds_build(struct server *server);
/* A line in the log for a bound that is too small for anything. */
void bounds_tell(const struct conf *conf);

#endif
