/*
 * access_line.h - a line of the access log, from the bytes of a request; no I/O, no clock.
 *
 *	192.0.2.7 - - [26/Nov/2026:13:55:36 +0000] "GET /a?... HTTP/1.1" 200 28 "-" "curl/8.5"
 *		id=5f0c... worker=app1 duration=0.000042 cause=ok attempts=1 trace=-
 *
 * on one line; or the same as one JSON object. What came from the client is escaped as log_quote() does it, whatever
 * the request looked like, and is cut: no client ends a line, or makes one longer than RING_LINE_MAX. What may be
 * secret is not shown: a query, also the Referer's, and a name and password in front of a host.
 *
 * Thread: any.
 */
#ifndef RMSD_HTTP_ACCESS_LINE_H
#define RMSD_HTTP_ACCESS_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "http/reply.h"
#include "http/trace.h"

enum { ACCESS_STAMP_MAX = 32 };

/* The second, as both formats write it. */
struct access_stamp {
	long second; /* Unix time; -1: none yet */
	char text[ACCESS_STAMP_MAX];
	size_t len;
};

struct access_facts {
	const struct access_stamp *stamp;
	const char *client, *worker;
	size_t client_len, worker_len;
	const char *head; /* from the request's first byte on, as much as there is */
	size_t head_len;
	struct trace_place place; /* for an id, if the client sent none */
	int status;
	uint64_t body_len;
	uint64_t duration_ns;
	enum reply_cause cause;
	unsigned attempts;
};

/* Makes the stamp that of second. */
void access_stamp_update(struct access_stamp *stamp, long second, bool json);
/* Writes the line, its end among it, to at, where RING_LINE_MAX bytes are free. Returns its length. */
size_t access_line_make(char *at, const struct access_facts *facts, bool json);

#endif
