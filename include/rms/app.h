/*
 * app.h - what an app is: its routes, its state, its hooks.
 *
 * A worker is a replica of the app: one thread, one event loop, one copy of the state. All handlers and hooks of a
 * worker run on its thread, one at a time, so the state needs no locks. When a worker is killed and revived the new
 * one starts with fresh state; the old one's thread ends on its own and may for a moment still run beside it, with
 * its own old state.
 *
 * A handler must not block: while it runs its worker serves nobody else. To wait for something, return without a
 * reply and reply later (reply.h).
 *
 * A worker may be lost while a request is in its handler, or deferred. Then GET, HEAD, OPTIONS and TRACE run again on
 * another worker; PUT and DELETE too, but only once the first one's thread has ended; of any other method the client is
 * told that the outcome is unknown (RFC 9110 section 9.2.2). rms_request_attempt() tells a second run from the first.
 */
#ifndef RMS_APP_H
#define RMS_APP_H

#include <stddef.h>

struct rms_request;
struct uv_loop_s; /* libuv's uv_loop_t, for those who include uv.h */

/* On the worker's thread. req is lent until the handler, or later code on the same loop, has replied. */
typedef void rms_handler_fn(struct rms_request *req, void *state);

/*
 * On the worker's thread, before the route's handler: the next len bytes of the body, at least one, lent for the call.
 * It may reply: then the rest of the body is not read, the handler is not called, and the connection closes.
 */
typedef void rms_body_fn(struct rms_request *req, void *state, const void *bytes, size_t len);

struct rms_route {
	const char *method; /* "GET", "POST" ...: RFC 9110 section 9. GET answers HEAD too */
	/*
	 * "/hello/:name": a segment that begins with ':' is a parameter and matches any but "". In the spelling that
	 * rms_request_path() gives.
	 */
	const char *path;
	rms_handler_fn *handle;
	const void *data; /* for rms_request_data(); borrowed */
	/*
	 * Gets the body piece by piece as it comes, decoded if it was chunked; the handler then finds it empty. NULL:
	 * the handler gets it whole. max_body_size holds for both. If the worker is lost before the body was whole, the
	 * client gets an error, whatever the method.
	 */
	rms_body_fn *body;
};

struct rms_app {
	const char *name;
	size_t state_size;              /* bytes of state of each worker, zeroed before start() */
	const struct rms_route *routes; /* ended by an entry whose method is NULL; NULL: none */
	/* On the worker's thread before its first request. 0, or a negative value: the worker does not start. */
	int (*start)(void *state, struct uv_loop_s *loop, const char *worker);
	/* On the worker's thread after its last request. Handles still open on the loop are closed after it. */
	void (*stop)(void *state);
};

#endif
