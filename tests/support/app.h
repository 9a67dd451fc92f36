/*
 * app.h - what the parts of the app that system tests run know of each other.
 *
 * Thread: a worker's; what is shared by all of them is atomic.
 */
#ifndef RMSD_TESTS_APP_H
#define RMSD_TESTS_APP_H

#include <rms/rms.h>

#include <uv.h>

struct pending;

/* One per worker. */
struct testapp {
	unsigned long counted;
	struct pending *pending; /* whose timer runs */
};

/* What a timer is to do about a request. Owned by the loop from start to its close callback. */
struct pending {
	uv_timer_t timer; /* first: a handle is cast back to it */
	struct rms_request *req;
	struct testapp *app;
	void (*due)(struct pending *pending);
	/* When the timer ends without having been due, or after it; NULL: nothing is to be done. */
	void (*ended)(struct pending *pending);
	unsigned long id, left;
	struct pending *next, **link;
};

/* A parameter of the path. */
unsigned long app_number(const struct rms_request *req, const char *param);
/* Calls due() after ms, and again each ms if repeat. NULL, and an answer, when out of memory. */
struct pending *app_later(struct rms_request *req, void (*due)(struct pending *pending), unsigned long ms, bool repeat);
/* Its timer ends. */
void app_end(struct pending *pending);

/* app_journal.c: handlers that keep books on which request ran how often. */
rms_handler_fn app_journal_defer, app_journal_block, app_journal_twice, app_journal_overlaps, app_journal_total,
	app_attempt, app_spin, app_spin_always;
/* app_large.c: bodies that stay where they are. */
void app_large_init(void);
rms_handler_fn app_fixed, app_later_large, app_large_twice;
/* app_stream.c */
rms_handler_fn app_stream, app_stream_now, app_stream_status, app_stream_behind, app_stream_wrong, app_stream_pump,
	app_streams, app_upload, app_upload_later, app_upload_stream;
rms_body_fn app_upload_piece, app_upload_slowly, app_upload_refused, app_upload_refused_later;

#endif
