/*
 * request.h - a request on its way through a handler; implements rms/request.h.
 *
 * All that a handler is lent stands in the request's own arena: copies of the head and the body. So the connection's
 * bytes may move to another worker while the handler still reads; and a request may outlive its connection.
 *
 * Thread: the owner's. No lock is needed for a request: only the thread that runs its handler sees it.
 */
#ifndef RMSD_HTTP_REQUEST_H
#define RMSD_HTTP_REQUEST_H

#include <stdbool.h>
#include <rms/request.h>
#include "base/arena.h"
#include "base/list.h"
#include "base/outbuf.h"
#include "http/parser.h"
#include "http/reply.h"
#include "http/router.h"

struct fault_hit;
struct service;

/* A streamed reply, from rms_reply_begin() to rms_reply_end(). */
struct stream {
	bool begun;
	struct outbuf bytes; /* framed */
	size_t sent;         /* of bytes, with the kernel */
	size_t charged;      /* what they count for in the process's account */
	rms_room_fn *on_room;
	void *on_room_arg;
	bool owed;        /* a call of on_room */
	uint64_t written; /* bytes of body */
};

struct rms_request {
	struct list_node node; /* the service's: live, due, owed or spare */
	struct service *service;
	uint64_t tag; /* the slot it came by, as of then */
	struct router_match match;
	rms_handler_fn *handle;  /* the route's, or what stands in for it */
	struct fault_hit *fault; /* which is then to be told what to do (fault.c); NULL: nothing stands in */
	const char *method;
	char *path, *query;
	char *head;                   /* a copy of the head that the fields' spans point into */
	struct message_field *fields; /* n_fields */
	uint32_t n_fields;
	const char *body;
	size_t body_len;
	struct outbuf chunked_body; /* its memory, if the body was chunked */
	size_t fed;                 /* bytes of the body that the route's body() has had */
	void *context;              /* the app's */
	unsigned attempt;
	uint32_t served;     /* slot.served, and */
	uint64_t started_ns; /* slot.started_ns: what its id is made from */
	const char *id;      /* once it was asked for */
	struct reply reply;
	struct stream stream;
	bool in_handler; /* the app's code runs for it, and has not returned yet */
	bool replied;    /* wholly */
	bool live;       /* deferred: in one of the service's lists */
	bool due;        /* in that of those that have something for their connection */
	bool gone;       /* nobody takes its reply, and the app may have been told so */
	struct arena arena;
	char first[2048];
};

/*
 * Whether all of its reply is there, and the app was not told before that nobody takes it. A stream that has no body is
 * whole once it is begun: its end may never come.
 */
static inline bool request_is_answered(const struct rms_request *req)
{
	return (req->replied || (req->stream.begun && !reply_has_body(&req->reply))) && !req->gone;
}

/* What was streamed and is not sent is not wanted any more. */
void stream_drop(struct rms_request *req);

/* NULL when out of memory. */
struct rms_request *request_create(void);
void request_destroy(struct rms_request *req); /* accepts NULL */
/* Fills a fresh or emptied request from the head of a message, whose bytes begin at base. false when out of memory. */
bool request_fill(struct rms_request *req, const struct message *message, const char *base);
/* And from its body, when the message is complete; takes a chunked one. false when out of memory. */
bool request_fill_body(struct rms_request *req, struct message *message, const char *base);
/* Back to fresh: frees what the last use allocated. */
void request_empty(struct rms_request *req);

#endif
