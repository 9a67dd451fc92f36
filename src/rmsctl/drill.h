/*
 * drill.h - rmsctl drill: a load, a fault in the middle of it, a verdict.
 *
 * The load and the fault's stream share one epoll loop, so all that a drill tells was seen by one thread on one clock.
 * From 20 % of its duration to 60 % the worker is out; rmsd itself holds the fault, and reverts it when rmsctl goes.
 *
 * Thread: the only one.
 */
#ifndef RMSD_RMSCTL_DRILL_H
#define RMSD_RMSCTL_DRILL_H

#include "rmsctl/answer.h"
#include "rmsctl/command.h"

/*
 * EXIT_DONE: passed, EXIT_REFUSED: failed, and out has the report; else why holds one line. Interrupted before anything
 * is injected it ends the process.
 */
enum exit_code drill_run(const struct task *task, struct outbuf *out, struct outbuf *why);

#endif
