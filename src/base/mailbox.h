/*
 * mailbox.h - hand a message from any thread to the one thread that runs a loop.
 *
 * The way a request for work crosses threads. Messages are intrusive, so posting allocates nothing. They arrive in the
 * order they were posted.
 *
 * Thread: a mailbox belongs to its loop's thread; only mailbox_post() may be called from another, for as long as the
 * memory is there.
 */
#ifndef RMSD_BASE_MAILBOX_H
#define RMSD_BASE_MAILBOX_H

#include <stdbool.h>
#include <uv.h>
#include "base/list.h"
#include "base/lock.h"

struct mail {
	struct list_node node; /* the mailbox's from post to deliver */
};

/* On the owner's thread. The mail is now the receiver's, to keep or to free. */
typedef void mailbox_fn(struct mail *mail, void *owner);

struct mailbox {
	struct lock lock; /* guards the next two, and nothing else */
	struct list mails;
	bool closed;
	uv_async_t wakeup;
	mailbox_fn *deliver;
	void *owner; /* borrowed; outlives the mailbox */
	uv_close_cb done;
};

/* 0 or a negative UV_ code; on failure there is nothing to undo. */
int mailbox_init(struct mailbox *box, uv_loop_t *loop, mailbox_fn *deliver, void *owner);
/* Takes mail. UV_ECANCELED once closed, and then the caller still owns it. */
int mailbox_post(struct mailbox *box, struct mail *mail);
/* Delivers what is left, then refuses. The loop has let go in done(), which gets the wakeup handle; it may be NULL. */
void mailbox_close(struct mailbox *box, uv_close_cb done);

#endif
