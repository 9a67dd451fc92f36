/*
 * client.h - one HTTP/1.1 request to rmsd, over its control socket.
 *
 * Blocking, with a time-out on every step. The reader is strict and bounded: whatever is not one plain answer with a
 * known end is an error, since an operator acts on what it says.
 *
 * Thread: the only one.
 */
#ifndef RMSD_RMSCTL_CLIENT_H
#define RMSD_RMSCTL_CLIENT_H

#include "base/outbuf.h"
#include <stdbool.h>
#include <stddef.h>

struct client_reply {
	int status; /* 200 to 599 */
	size_t body_len;
	const char *body; /* in bytes; not NUL-terminated */
	struct outbuf bytes;
};

/*
 * Sends method and target (a path with its query, already encoded) to the socket at path; with json, says that it
 * prefers JSON. 0, and the caller finishes *reply; or a negative errno (a UV_ code: the same on Linux), *reply is
 * untouched, and why holds one line that names the cause and what to do. No step takes longer than patience_s.
 */
int client_request(const char *path, const char *method, const char *target, bool json, unsigned patience_s,
	struct client_reply *reply, struct outbuf *why);
/* The request alone, with header fields of one's own: the socket, for the caller to read and close; else as above. */
int client_send(const char *path, const char *method, const char *target, const char *fields, unsigned patience_s,
	struct outbuf *why);
void client_reply_finish(struct client_reply *reply);

#endif
