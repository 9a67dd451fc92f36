/*
 * verdict.h - what a drill saw, against what it allows: the checks, and the figures of its report.
 *
 * Thread: the only one; no state.
 */
#ifndef RMSD_RMSCTL_VERDICT_H
#define RMSD_RMSCTL_VERDICT_H

#include "rmsctl/lease.h"
#include "rmsctl/load.h"
#include <stdbool.h>
#include <stdint.h>

enum drill_action { DRILL_KILL, DRILL_STALL, DRILL_DRAIN };
enum { DRILL_SLICES = 40 }; /* of the time line */

/* What was asked for. Borrowed texts. */
struct drill_plan {
	enum drill_action action;
	const char *worker, *path, *address;
	uint64_t duration_ms;
	unsigned connections, rate;
	uint64_t max_failed, max_pause_ms, max_detect_ms;
};

enum check_name {
	CHECK_failed,
	CHECK_kept,
	CHECK_pause,
	CHECK_detection,
	CHECK_return,
	CHECK_accounts,
	CHECK_end,
	CHECKS
};

/* What was seen of one thing that counts; a time is in ms. */
struct check {
	bool passed;
	bool measured, limited; /* whether there is a value, and a limit */
	double value, limit;
	char text[160]; /* a sentence; may be shown */
};

/* ms, or negative: not seen. */
struct drill_spans {
	double detection; /* from the injection */
	double rehomed;   /* from the injection to the last connection */
	double back;      /* from the revive, or for a stall from the injection, to up */
	double even;      /* from up */
};

struct verdict {
	bool passed;
	struct check checks[CHECKS];
	struct drill_spans spans;
	struct latency before, during, after;
	uint64_t slice_ns;
	struct slice slices[DRILL_SLICES];
};

extern const char *const drill_actions[];     /* "kill" */
extern const char *const check_names[CHECKS]; /* "failed" */

/* stop_ns: when the load had ended. 0 or -ENOMEM. */
int verdict_judge(const struct drill_plan *plan, const struct load_books *books, const struct lease *lease,
	uint64_t stop_ns, struct verdict *verdict);

#endif
