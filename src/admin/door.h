/*
 * door.h - what the files of admin share: its state, and an answer in JSON.
 *
 * Thread: the admin thread.
 */
#ifndef RMSD_ADMIN_DOOR_H
#define RMSD_ADMIN_DOOR_H

#include <rms/rms.h>
#include "admin/admin.h"
#include "base/mailbox.h"

struct admin {
	/* Constant while the thread runs. */
	struct admin_setup set;
	struct router *routers[ROLES];
	uint64_t started_ms; /* on the clock of uv_hrtime() */

	/* Control thread writes, any reads. */
	_Atomic uint64_t beat_ms;
	_Atomic bool serving, draining;

	/* Admin thread. */
	struct mailbox inbox; /* orders that are done */

	/* Control thread. */
	struct mailbox news;
	struct incarnation *incarnation;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* Takes out's bytes. */
void door_reply_json(struct rms_request *req, int status, struct outbuf *out);
/* /status */
void door_write_status(const struct admin *admin, struct outbuf *out);
/* The verbs, for the control socket's router; their data is filled in by the caller. */
extern const struct rms_route door_verbs[];
/* For the inbox: an order that is done. */
void door_answer_order(struct mail *mail, void *arg);

#endif
