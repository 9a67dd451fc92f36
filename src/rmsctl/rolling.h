/*
 * rolling.h - restart-worker --all: one worker after another, each up again before the next.
 *
 * Thread: the only one.
 */
#ifndef RMSD_RMSCTL_ROLLING_H
#define RMSD_RMSCTL_ROLLING_H

#include "rmsctl/answer.h"
#include "rmsctl/command.h"

/*
 * Each worker's sentence goes to stdout as soon as it is up; with JSON, the answers go to out in the end, as an array.
 * Those that are not up are left alone, which is said too ("skipped" in JSON). Stops at the first failure: why says
 * which, and what was left alone.
 */
enum exit_code rolling_restart(const struct task *task, struct outbuf *out, struct outbuf *why);

#endif
