/*
 * doors.h - every address that rmsd listens on: opened before any thread starts, so that a port that cannot be had ends
 * the program and nothing else.
 *
 * Thread: the control thread.
 */
#ifndef RMSD_SERVER_DOORS_H
#define RMSD_SERVER_DOORS_H

#include "admin/admin.h"
#include "conf/conf.h"
#include "front/listener.h"
#include "worker/fleet.h"

struct doors {
	struct listener *publics; /* conf->listen.n of them */
	unsigned n_publics;
	struct listener *workers; /* one for each worker, by index; not bound if worker_port is 0 */
	unsigned n_workers;
	struct listener admin, control;
	bool made_directory;           /* of the control socket */
	struct admin_listener *status; /* for /status */
	unsigned n_status;
};

/* One callback for each kind; owner is the listeners' owner. */
struct doors_setup {
	const struct conf *conf;
	struct fleet *fleet;
	struct reserve *reserve;
	uv_loop_t *loop;
	void *owner;
	listener_fn *on_publics, *on_worker, *on_admin, *on_control;
};

/*
 * Binds all. 0, or a negative UV_ code and error says which address it was, why, and what to do. Close it in any case,
 * and after a turn of the loop, finish it.
 */
int doors_open(struct doors *doors, const struct doors_setup *setup, struct outbuf *error);
/*
 * The files of unix sockets become uid's, and the control socket's directory if it was made: who rmsd is about to
 * become must be able to remove them, and to ask. 0, or a negative UV_ code and error says which one it was.
 */
int doors_hand_over(struct doors *doors, uid_t uid, gid_t gid, struct outbuf *error);
/* Admin and control begin to accept. */
int doors_start_admin(struct doors *doors);
/* The public ones are accepted from now on. */
int doors_start_public(struct doors *doors);
/* All but admin and control pause, or go on. */
void doors_hold_public(struct doors *doors, bool hold);
/* Closes all but admin and control. */
void doors_close_public(struct doors *doors);
void doors_close(struct doors *doors);
void doors_finish(struct doors *doors);

#endif
