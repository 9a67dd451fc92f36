/*
 * listener.h - a listening socket on a loop: bind, accept until there is nothing more, pause when told to.
 *
 * Thread: the loop's.
 */
#ifndef RMSD_FRONT_LISTENER_H
#define RMSD_FRONT_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>
#include "conf/value.h"
#include "front/reserve.h"

struct listener;

enum {
	LISTENER_BATCH = 64,          /* accepts a turn */
	LISTENER_UNSENT = 256 * 1024, /* bytes of a connection that the kernel has and has not sent yet */
	LISTENER_PAUSE_MS = 100,      /* when the system has no descriptor or memory for another connection */
};

/* Takes fd: a non-blocking, close-on-exec socket. */
typedef void listener_fn(struct listener *listener, int fd, const struct sockaddr *peer);

struct listener {
	int fd; /* -1: closed */
	bool listening;
	bool held;    /* listens, and accepts nobody */
	bool first;   /* admin or control: the reserve is for them */
	bool failing; /* the last accept() found no descriptor or memory */
	int backlog;
	uv_poll_t poll;
	uv_timer_t resume;
	listener_fn *accepted;
	void *owner;             /* borrowed */
	struct reserve *reserve; /* borrowed */
	char address[140];       /* as it is: the port that the system chose, if it was 0 */
	unsigned port;           /* 0 for a unix socket */
	char unix_path[108];     /* removed when closed */
};

/*
 * Binds, and registers with the loop; does not listen yet. 0 or a negative UV_ code with
 * nothing to undo: UV_EADDRINUSE, UV_EACCES ... A unix socket's file left by a dead process is replaced; UV_EADDRINUSE
 * if somebody listens there. mode: of a unix socket's file. first: as in the listener.
 */
int listener_bind(struct listener *listener, const struct value_address *address, int backlog, unsigned mode,
	struct reserve *reserve, bool first, uv_loop_t *loop, listener_fn *accepted, void *owner);
/* From here on the kernel queues connections; they are accepted once started. 0 or a negative UV_ code. */
int listener_listen(struct listener *listener);
/* 0 or a negative UV_ code. */
int listener_start(struct listener *listener);
/* Connections wait in the kernel until it is let go again. Does nothing to one that is closed. */
void listener_hold(struct listener *listener, bool hold);
/* Refuses connections, those not yet accepted too, until started again; the address stays ours. */
void listener_stop(struct listener *listener);
/* The handles close on the loop; accepts zeroed memory and what is closed. */
void listener_close(struct listener *listener);

#endif
