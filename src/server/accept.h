/*
 * accept.h - who gets a connection that came in: the worker picked, admin, or a refusal.
 *
 * Thread: the control thread.
 */
#ifndef RMSD_SERVER_ACCEPT_H
#define RMSD_SERVER_ACCEPT_H

#include "front/listener.h"
#include "worker/fleet.h"

struct server;

/* NULL: none is up. key: dispatch_key() of the client's address. */
struct worker *accept_pick(struct server *server, uint64_t key);

/* To be called often: makes room for new connections when they, or descriptors, run short. */
void accept_relieve(struct server *server);

/* Hooks of the fleet; arg is the server. */
struct worker *accept_pick_again(void *arg, int fd);
void accept_refuse(void *arg, int fd);

/* What the doors lead to; the server owns the listeners. */
listener_fn accept_public, accept_worker, accept_admin, accept_control;

#endif
