/*
 * request.h - what a handler may ask of a request.
 *
 * Every pointer returned is lent until the request has been replied to. Texts are NUL-terminated.
 *
 * Thread: the worker's that runs the handler.
 */
#ifndef RMS_REQUEST_H
#define RMS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

struct rms_request;
struct uv_loop_s;

/* "GET": as received (RFC 9110 section 9); "HEAD" for a HEAD that a GET route answers. */
const char *rms_request_method(const struct rms_request *req);
/*
 * The path of the target without its query (RFC 9112 section 3.2), in its one spelling (RFC 3986 section 6.2.2): dot
 * segments are gone, letters, digits and "-._~" are not escaped, all other escapes are as sent: "%2F" is no '/'.
 */
const char *rms_request_path(const struct rms_request *req);
/* What follows the '?', undecoded; "" if nothing does. */
const char *rms_request_query(const struct rms_request *req);
/* A parameter of the route's path, spelled as there; NULL if the route has none of that name. */
const char *rms_request_param(const struct rms_request *req, const char *name);
/*
 * A field's value without the white space around it (RFC 9110 section 5.5); the first of that name, in any case. NULL:
 * none. Of Host, where the target is in absolute-form: the target's authority (RFC 9112 section 3.2.2).
 */
const char *rms_request_header(const struct rms_request *req, const char *name);
/*
 * What this request is known by, here, in the access log and wherever else it has been: the client's X-Request-Id, if
 * it sent one of 1 to 128 visible ASCII characters without quotes and backslashes; else one that rmsd makes, 32
 * hexadecimal digits that no other request has. The same in each attempt. Good to tell requests apart, not to keep a
 * secret. NULL when out of memory.
 *
 *	rms_reply_header(req, "X-Request-Id", rms_request_id(req));
 */
const char *rms_request_id(struct rms_request *req);
/*
 * The client's traceparent (W3C Trace Context, section 3.2), to be passed on with a span of one's own; NULL: there is
 * none, more than one, or it is not valid or not of version 00. A tracestate is rms_request_header()'s.
 */
const char *rms_request_traceparent(const struct rms_request *req);
/* The body, whole, and its length in bytes; "" and 0 if there is none, or rms_route.body has had it. It may hold NULs.
 */
const char *rms_request_body(const struct rms_request *req, size_t *len);
/* data of the route. */
const void *rms_request_data(const struct rms_request *req);
/* The name of the worker that runs the handler: "app1". */
const char *rms_request_worker(const struct rms_request *req);
/* The worker's event loop, for timers, libuv work, a database client. */
struct uv_loop_s *rms_request_loop(const struct rms_request *req);
/* The worker's state, as the handler got it. */
void *rms_request_state(const struct rms_request *req);
/* size bytes, aligned for any type, freed with the request; NULL when out of memory. */
void *rms_request_alloc(struct rms_request *req, size_t size);
/* A pointer of the app's own, NULL at first: what one call about a request leaves for the next. Never NULL itself. */
void **rms_request_context(struct rms_request *req);
/* 1; 2 and more: so many runs, less one, were lost with their workers before they had an answer. */
unsigned rms_request_attempt(const struct rms_request *req);
/* Whether its client or its worker has gone: finish and reply all the same; the reply will be dropped. */
bool rms_request_gone(const struct rms_request *req);

#endif
