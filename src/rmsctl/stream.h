/*
 * stream.h - an answer of rmsd that comes line by line for as long as something goes on.
 *
 * Thread: the only one.
 */
#ifndef RMSD_RMSCTL_STREAM_H
#define RMSD_RMSCTL_STREAM_H

#include "base/outbuf.h"
#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>

/* One line, without its end; lent for the call. */
typedef void stream_fn(const char *line, size_t len, void *arg);

struct stream {
	int fd;     /* not blocking; -1: not open */
	int status; /* 0: its head has not come */
	bool ended; /* whole */
	llhttp_t llhttp;
	llhttp_settings_t settings;
	struct outbuf line; /* the part of it that has come */
	stream_fn *fn;
	void *arg;
};

/* Sends the request to the socket at path. 0, or a negative errno, and why holds one line. */
int stream_open(struct stream *stream, const char *path, const char *method, const char *target, stream_fn *fn,
	void *arg, struct outbuf *why);
/*
 * Reads once, and calls fn for each line. 0; ended says whether that was all; or a negative errno: EPROTO for what is
 * no answer of rmsd, ECONNRESET for one that is cut short.
 */
int stream_read(struct stream *stream);
/* Accepts a stream that was never opened, if its fd is -1. */
void stream_close(struct stream *stream);

#endif
