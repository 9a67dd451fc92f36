/*
 * answer.h - what a connection says: a handler's reply, or one that rmsd makes itself, into the batch of the turn.
 *
 * Thread: the owner's, under its lock.
 */
#ifndef RMSD_HTTP_ANSWER_H
#define RMSD_HTTP_ANSWER_H

#include <stdbool.h>
#include "http/parser.h"
#include "http/reply.h"
#include "http/router.h"
#include "http/service.h"

/* With a 503 where nothing ran (RFC 9110 section 10.2.3). */
#define ANSWER_RETRY_AFTER "Retry-After: 1\r\n"

/* Appends the reply; counted: in the request counters. One that does not keep the connection marks it for closing. */
void answer_put(struct service *service, struct slot *slot, const struct reply *reply, bool counted);
/*
 * The same for a body that is not just lent: it becomes the service's tail, which is to be sent before anything else is
 * appended.
 */
void answer_apart(struct service *service, struct slot *slot, struct reply *reply, bool counted);
/* Appends what a streamed reply, which has ended, still has to send. The rest as answer_put(). */
void answer_end(struct service *service, struct slot *slot, const struct rms_request *req, bool counted);
/*
 * The reason phrase as the body, then ": " and more unless that is NULL, a short constant; on the control socket as the
 * JSON that its verbs answer with. The rest of reply is the caller's.
 */
void answer_status(struct service *service, struct slot *slot, struct reply *reply, const char *more);
/*
 * Whether the request at the front of slot's input, which may be bad or not whole, is for HEAD: its sender expects no
 * body then, also of an error (RFC 9110 section 9.3.2).
 */
bool answer_is_to_head(const struct slot *slot);
/* Refuses what cannot be understood, after the replies to what came before it; nothing behind it is looked at. */
void answer_bad(struct service *service, struct slot *slot, const struct message *message);
/* Tells why slot.refuse: the request, which was lost with its worker, is not run. The rest of reply is the caller's. */
void answer_lost(struct service *service, struct slot *slot, struct reply *reply);
/* Answers a request for which no handler is to be called: it was lost, or match has no route. */
void answer_unhandled(
	struct service *service, struct slot *slot, const struct router_match *match, struct reply *reply);

#endif
