/*
 * trace.h - how a request is recognised: by the X-Request-Id and the traceparent that came with it, or by an id made
 * here.
 *
 * An id that is made depends on where the request stands alone: which connection, when its first byte came, how many
 * were answered before it. So nothing has to be kept: whoever asks, the app or the log, in the first attempt or after
 * its worker was lost, works out the same one.
 *
 * Thread: trace_init() before there are others; the rest any.
 */
#ifndef RMSD_HTTP_TRACE_H
#define RMSD_HTTP_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TRACE_ID_LEN = 32,     /* hexadecimal digits of an id that is made */
	TRACE_ID_MAX = 128,    /* bytes of one that is taken over */
	TRACE_PARENT_LEN = 55, /* of a traceparent of version 00 */
};

/* Where a request stands. */
struct trace_place {
	int fd;
	uint64_t started_ns; /* slot.started_ns */
	uint32_t served;     /* slot.served */
};

/* Makes this process's ids different from those of any other. */
void trace_init(void);
/* Writes TRACE_ID_LEN digits. */
void trace_make_id(const struct trace_place *place, char id[TRACE_ID_LEN]);
/* Whether a client's X-Request-Id is taken over: 1 to TRACE_ID_MAX bytes, visible ASCII but no quotes, no backslash. */
bool trace_id_is_good(const char *id, size_t len);
/* W3C Trace Context, section 3.2: version 00, to the letter. */
bool trace_parent_is_good(const char *parent, size_t len);

#endif
