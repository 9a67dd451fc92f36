/*
 * outcome.h - who hears of a drill, and in which form: the operator, a CI server, rmsd's metrics.
 *
 * Thread: the only one; no state.
 */
#ifndef RMSD_RMSCTL_OUTCOME_H
#define RMSD_RMSCTL_OUTCOME_H

#include "rmsctl/answer.h"
#include "rmsctl/command.h"
#include "rmsctl/report.h"

/* Before anything else: a drill of ten minutes is not to fail for its report. False: why holds one line. */
bool outcome_can_tell(const struct task *task, struct outbuf *why);
/* For people: what begins now. EXIT_DONE, or EXIT_REFUSED and why holds one line. */
enum exit_code outcome_begin(const struct task *task, const struct drill_plan *plan, struct outbuf *why);
/* EXIT_DONE: it passed, and that is told; else EXIT_REFUSED. What is for stdout goes to out. */
enum exit_code outcome_tell(
	const struct task *task, const struct report *report, struct outbuf *out, struct outbuf *why);
/* There is no verdict. */
void outcome_abort(const struct task *task, const struct report_abort *aborted, struct outbuf *out, struct outbuf *why);

#endif
