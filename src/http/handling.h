/*
 * handling.h - a request in the app's hands: found a route, called, deferred, streamed, over.
 *
 * The app is called without the lock. Before each call the slot is made to show all that a taker needs: the request's
 * bytes are still in its input, the batch's replies are its output; and what the app is lent is the incarnation's,
 * never the slot's. A function that returns false has had the slot taken from under the call: touch nothing of it any
 * more.
 *
 * Thread: the owner's, under its lock, which handling_run() and handling_feed() drop while the app is called.
 */
#ifndef RMSD_HTTP_HANDLING_H
#define RMSD_HTTP_HANDLING_H

#include <stdbool.h>
#include "http/service.h"

struct rms_request;

/* Whether a handler has the slot's request: nothing is read meanwhile. */
static inline bool is_handled(const struct slot *slot)
{
	return slot->request && !slot->feeding;
}

/* Answers message, a whole request at in_off, or leaves it to its handler; it is used up, wherever it stood. */
bool handling_run(struct service *service, struct slot *slot, int fd, struct message *message)
	REQUIRES(service->owner.lock);
/* The head of slot.message is whole, its body is not: gives what there is of it to the app, if that wants pieces. */
bool handling_feed(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock);
/* The slot's request, req, is replied to: the reply into the batch. req stays the caller's. */
void handling_answer(struct service *service, struct slot *slot, struct rms_request *req) REQUIRES(service->owner.lock);
/* Nobody is left to answer; the app is told so. Does nothing if there is no request. */
void handling_abandon(struct service *service, struct slot *slot) REQUIRES(service->owner.lock);

/* The first len bytes of input are answered. */
void handling_consume(struct slot *slot, uint32_t len);
/* The parse of a request partly here is over, one way or the other. */
void handling_drop_message(struct slots *slots, struct slot *slot);

#endif
