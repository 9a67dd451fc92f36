/*
 * pollset.h - the raw fds of one loop: an epoll set that a thread waits on, with the uv_loop's own inside.
 *
 * libuv keeps no state about the fds, so one can leave this loop for another's at any time, from another thread, with
 * two system calls; a uv_tcp_t or a uv_poll_t of each connection's own could not. And the thread waits for all of them
 * at once, as libuv's documentation has it for loops in loops (uv_backend_fd()): the uv_loop turns when it has
 * something to do, its timers among it, and not for each event of a connection.
 *
 * Thread: open, turn, close and the callback are the loop's; add, mod and del may be called from any thread, which then
 * owns the question whether the fd is still the one meant. Level-triggered throughout.
 */
#ifndef RMSD_BASE_POLLSET_H
#define RMSD_BASE_POLLSET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <uv.h>

enum { POLLSET_BATCH = 64 }; /* events a turn of the loop */

/*
 * On the loop's thread, once a turn at the most. Returns how many events it has dealt with, from the first on: the rest
 * comes again before any newer one, so that no fd is passed over twice.
 */
typedef int pollset_fn(void *owner, const struct epoll_event *events, int n);

struct pollset {
	int epfd; /* -1 when closed */
	uv_loop_t *loop;
	uv_check_t check;
	pollset_fn *on_events;
	void *owner;  /* borrowed */
	bool due;     /* the uv_loop is to turn next */
	bool stopped; /* by uv_stop() */
	struct epoll_event ready[POLLSET_BATCH];
	int first, n; /* of ready, what has not been dealt with */
};

/* 0 or a negative UV_ code; on failure there is nothing to undo. The loop and owner are borrowed. */
int pollset_open(struct pollset *set, uv_loop_t *loop, pollset_fn *on_events, void *owner);
/*
 * A turn in place of uv_run()'s: of the uv_loop, if it has something to do, and of the events. wait: if there is
 * nothing to do, for something. False: the loop is over, since no handle is active or uv_stop() was called; not by a
 * callback of uv_close() or, with libuv from 1.45 on, of a timer: those come last in uv_run(), and it forgets.
 */
bool pollset_turn(struct pollset *set, bool wait);
/* No more turns; the loop has a handle to close. */
void pollset_close(struct pollset *set);
/* Closes the epoll set itself, once nobody adds to it any more: the fds inside stay open, and cost time here. */
void pollset_finish(struct pollset *set);

/* 0 or a negative UV_ code. tag comes back in epoll_event.data.u64. */
int pollset_add(const struct pollset *set, int fd, uint32_t events, uint64_t tag);
int pollset_mod(const struct pollset *set, int fd, uint32_t events, uint64_t tag);
/* UV_ENOENT when the fd is not inside. */
int pollset_del(const struct pollset *set, int fd);

#endif
