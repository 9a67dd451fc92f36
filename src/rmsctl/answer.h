/*
 * answer.h - one request to rmsd and its answer as JSON, or as the exit status of rmsctl.
 *
 * Thread: the only one.
 */
#ifndef RMSD_RMSCTL_ANSWER_H
#define RMSD_RMSCTL_ANSWER_H

#include "base/outbuf.h"
#include "rmsctl/client.h"
#include <jansson.h>

enum exit_code { EXIT_DONE, EXIT_REFUSED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_ABORTED };

/* How to ask. */
struct question {
	const char *socket, *method, *target;
	bool json; /* rather than text, where there is both */
	unsigned patience_s;
};

/*
 * EXIT_DONE: the answer was good; the caller finishes *reply and drops *answer, which is NULL if it is no JSON. Else
 * why holds one line, and there is nothing to finish.
 */
enum exit_code answer_get(
	const struct question *question, struct client_reply *reply, json_t **answer, struct outbuf *why);
/* The same for what must be a JSON object: the caller drops it. */
enum exit_code answer_object(const struct question *question, json_t **answer, struct outbuf *why);
/* That what came is not what rmsd answers. */
enum exit_code answer_reject(const struct question *question, struct outbuf *why);
/* Why rmsd refused, by its answer or else by its status. */
enum exit_code answer_refusal(int status, const json_t *answer, struct outbuf *why);
/* Takes json and prints it; NULL: -EINVAL, else 0. */
int answer_print(json_t *json, struct outbuf *out);

#endif
