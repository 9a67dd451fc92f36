/*
 * admin.h - the operator's side door: metrics, health, status, events; and, on the control socket alone, the verbs.
 *
 * An app of rmsd's own, on an incarnation of its own: it reads counters and posts orders to the control thread, so a
 * slow scrape, page or client never delays an accept. The control thread accepts its connections, as all others.
 *
 * Thread: the control thread, except as said.
 */
#ifndef RMSD_ADMIN_ADMIN_H
#define RMSD_ADMIN_ADMIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include "worker/fleet.h"

struct admin;

/* One of /status's listeners. */
struct admin_listener {
	const char *role;   /* "public", "worker" or "admin" */
	const char *worker; /* NULL but for role worker */
	const char *address;
};

/* All of it is borrowed until admin_destroy(). */
struct admin_setup {
	const struct conf *conf;
	struct slots *slots;
	struct metrics *metrics;
	struct fleet *fleet;
	struct faults *faults;
	const struct admin_listener *listeners;
	unsigned n_listeners;
};

/* Starts the thread. 0 or a negative UV_ code. */
int admin_create(const struct admin_setup *setup, uv_loop_t *loop, struct admin **out);
/* What it serves at once, at the most; the last ADMIN_CONTROL of them are for the control socket alone. */
enum { ADMIN_CONNECTIONS = 48, ADMIN_CONTROL = 16 };
/* Connections it has now. */
int64_t admin_connections(const struct admin *admin);
/* Gives it a connection just accepted: fd's slot is open, its role ROLE_ADMIN or ROLE_CONTROL. */
void admin_give(struct admin *admin, int fd);
/* The control loop turns: to be called about every ADMIN_BEAT_MS; /livez minds when it is two seconds late. */
enum { ADMIN_BEAT_MS = 50 };
void admin_beat(struct admin *admin);
/* Connections are accepted: /readyz may say yes. */
void admin_serve(struct admin *admin);
/* Something has happened to a worker: for /events, and for a drill. Copies event; drops it if it is too far behind. */
void admin_tell(struct admin *admin, const struct fleet_event *event);
/* /readyz says no from now on, and /status "draining"; a drill ends. Once. */
void admin_drain(struct admin *admin);
/* No verb waits for its answer. */
bool admin_is_quiet(const struct admin *admin);
/* Ends its thread; closed(arg) when it has, and then admin_destroy(). */
void admin_close(struct admin *admin, void (*closed)(void *arg), void *arg);
void admin_destroy(struct admin *admin); /* accepts NULL */

#endif
