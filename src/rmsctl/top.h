/*
 * top.h - rmsctl top: the figures of each second in a terminal, until q.
 *
 * Thread: the only one.
 */
#ifndef RMSD_RMSCTL_TOP_H
#define RMSD_RMSCTL_TOP_H

#include "rmsctl/answer.h"
#include "rmsctl/command.h"

/* The terminal is as it was when this returns, or when a signal that it was sent ends the process. */
enum exit_code top_run(const struct task *task, struct outbuf *why);

#endif
