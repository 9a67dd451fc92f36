/*
 * screen.h - rmsctl top's picture: what is known of rmsd, as one screen of a terminal.
 *
 * Pure: the same struct is the same bytes. They go over what stood there, line by line, and never scroll.
 *
 * Thread: the only one; no state.
 */
#ifndef RMSD_RMSCTL_SCREEN_H
#define RMSD_RMSCTL_SCREEN_H

#include "base/outbuf.h"
#include <stdbool.h>
#include <stdint.h>

enum { SCREEN_WORKERS = 64, SCREEN_SECONDS = 60, SCREEN_EVENTS = 64, SCREEN_TEXT = 160, SCREEN_NAME = 48 };

/* Of a worker, or of all. */
struct screen_figures {
	double requests, p50, p99; /* of the last second; the latter in seconds, NaN: no request */
	uint64_t connections, in_flight, errors, moved, restarts;
};

struct screen_worker {
	char name[SCREEN_NAME], state[16];
	double for_s, busy, lag_s; /* in that state; 0 to 1; of its loop */
	struct screen_figures figures;
	double seconds[SCREEN_SECONDS]; /* requests, the newest last */
	unsigned n_seconds;
};

/* All texts hold nothing that a terminal would take for more than text. */
struct screen {
	unsigned rows, columns;
	bool utf8, colour;
	char version[32], clock[16]; /* clock: of the last figures */
	double uptime_s;
	bool draining;            /* rmsd is about to end */
	char drill[SCREEN_TEXT];  /* "": none */
	char notice[SCREEN_TEXT]; /* why what is shown is old; "": it is not */
	struct screen_worker workers[SCREEN_WORKERS];
	unsigned n_workers;
	struct screen_figures totals;
	char events[SCREEN_EVENTS][SCREEN_TEXT]; /* a ring: the last is before next_event */
	unsigned n_events, next_event;
};

void screen_add_second(struct screen_worker *worker, double requests);
void screen_add_event(struct screen *screen, const char *text); /* copies; cuts what is too long */
/* Copies text to a room of size bytes; what is too long is cut between two characters. */
void screen_copy(char *to, size_t size, const char *text);
void screen_draw(const struct screen *screen, struct outbuf *out);

#endif
