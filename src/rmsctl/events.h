/*
 * events.h - rmsctl events: what happens in rmsd, a line each.
 *
 * Thread: the only one.
 */
#ifndef RMSD_RMSCTL_EVENTS_H
#define RMSD_RMSCTL_EVENTS_H

#include "rmsctl/answer.h"
#include "rmsctl/command.h"

/*
 * Prints to stdout as they come, up to the first figures, which rmsd tells at once; with --follow until rmsd ends or a
 * signal does. EXIT_DONE, or why holds one line.
 */
enum exit_code events_run(const struct task *task, struct outbuf *why);
/* One event as a line, with its end; data is what rmsd tells of it. */
void events_line(const char *name, const json_t *data, struct outbuf *out);

#endif
