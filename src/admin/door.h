/*
 * door.h - what the files of admin share: its state, its mail, and answers in JSON.
 *
 * Thread: the admin thread.
 */
#ifndef RMSD_ADMIN_DOOR_H
#define RMSD_ADMIN_DOOR_H

#include <rms/rms.h>
#include "admin/admin.h"
#include "admin/drill.h"
#include "admin/events.h"
#include "admin/figures.h"
#include "admin/page.h"
#include "admin/query.h"
#include "base/mailbox.h"

#define DOOR_FAULTS_OFF "faults are off: set faults: on in rmsd.conf, or -o faults=on"

struct admin;

/* What another thread hands to the admin thread. */
struct door_mail {
	struct mail mail;
	void (*arrive)(struct door_mail *mail, struct admin *admin); /* on the admin thread; owns the mail */
};

struct admin {
	/* Constant while the thread runs. */
	struct admin_setup set;
	struct router *routers[ROLES];
	uint64_t started_ms; /* on the clock of uv_hrtime() */

	/* Control thread writes, any reads. */
	_Atomic uint64_t beat_ms;
	_Atomic bool serving, draining;

	/* Any thread. */
	_Atomic bool open;               /* the inbox is there */
	_Atomic unsigned events_waiting; /* in it */

	/* Admin thread. */
	struct mailbox inbox; /* of door_mail: orders that are done, events, the end */
	uv_timer_t expiry;    /* runs while there are faults */
	struct events events;
	struct figures figures;
	struct page page;
	struct drill drill;
	struct metrics_shard *shard; /* what it counts for the process */

	/* Control thread. */
	struct door_mail drained;
	struct mailbox news;
	struct incarnation *incarnation;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* Who asked for a change, and how; for the log. */
struct door_asker {
	long uid, pid;
	char arguments[160]; /* quoted */
};

/* An order that a drill has given. */
struct drill_order {
	struct fleet_order order;
	struct door_mail back;
	struct admin *admin;
	struct door_asker asker;
	uint64_t number; /* of the drill */
};

/* The admin of a request, which is its route's data. */
struct admin *door_admin(const struct rms_request *req);

/* Takes out's bytes. */
void door_reply_json(struct rms_request *req, int status, struct outbuf *out);
/* {"ok":false,"error":"...","generation":8} */
void door_reply_error(struct rms_request *req, int status, uint64_t generation, const char *error);
/* The same with the generation of now. */
__attribute__((format(printf, 3, 4))) void door_refuse(struct rms_request *req, int status, const char *format, ...);
/* Reads the request's arguments, sets of QUERY_BIT(); false: it has been answered. */
bool door_read(struct rms_request *req, struct query *query, unsigned accepted, unsigned needed);
/* The index of the worker of that name; -1: the request has been answered with the names that there are. */
int door_find_worker(struct rms_request *req, const char *name);
void door_ask(struct rms_request *req, struct door_asker *asker);
/* One line in the log for each change; facts are what was done and what came of it, as in log.h. */
__attribute__((format(printf, 3, 4))) void door_audit(
	const struct door_asker *asker, const char *verb, const char *facts, ...);

void door_quote(struct outbuf *out, const char *text);
/* RFC 3339, UTC, with milliseconds, in quotes. */
void door_write_time(struct outbuf *out, uint64_t unix_ms);
/* "time_ns":N,"time":"..." of a moment on the clock of uv_hrtime(). */
void door_write_moment(struct outbuf *out, uint64_t time_ns);
/* /status */
void door_write_status(const struct admin *admin, struct outbuf *out);

/* Routes; their data is filled in by the caller. Those of the control socket alone: */
extern const struct rms_route door_verbs[], door_fault_verbs[];

/* Any thread: posts mail to the admin thread. False: it has not begun, or is ending; the mail is the caller's again. */
bool door_post(struct admin *admin, struct door_mail *mail);
/* Faults end by themselves: for the start and the end of the thread. */
void door_open_faults(struct admin *admin, uv_loop_t *loop);

#endif
