/*
 * steady.h - whether rmsd is in a state in which a drill proves anything.
 *
 * Thread: the only one; no state.
 */
#ifndef RMSD_RMSCTL_STEADY_H
#define RMSD_RMSCTL_STEADY_H

#include "rmsctl/answer.h"
#include "rmsctl/target.h"
#include <stdbool.h>

/*
 * Ready, worker up and another one too (unless force), and the first public listener takes connections: *target is
 * where. EXIT_DONE; EXIT_UNREACHABLE when rmsd cannot be asked, EXIT_ABORTED when the answer is no: why holds one line.
 */
enum exit_code steady_check(
	const char *socket, const char *worker, bool force, struct target *target, struct outbuf *why);
/* What /status says to that, without asking anybody: its worker part, and its listener's address in *address, lent. */
enum exit_code steady_judge(
	const json_t *status, const char *worker, bool force, const char **address, struct outbuf *why);

#endif
