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
/* For a drill that stalls: whether faults are on. Codes as above. */
enum exit_code steady_check_faults(const char *socket, struct outbuf *why);
/*
 * Sends request, which asks for path and for the connection to end, to target. A 404 or 405 is EXIT_ABORTED: nothing
 * is served there. Any other answer, and none at all, is what the load is to judge.
 */
enum exit_code steady_probe(
	const struct target *target, const char *path, const struct outbuf *request, struct outbuf *why);
/* What /status says to that, without asking anybody: its worker part, and its listener's address in *address, lent. */
enum exit_code steady_judge(
	const json_t *status, const char *worker, bool force, const char **address, struct outbuf *why);

#endif
