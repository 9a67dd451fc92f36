/*
 * conn.h - the state machine of a connection: read, handle, write, keep alive, time out, close.
 *
 * The drawing is in slots.h. A connection may go on under another worker whenever its owner's lock is free; so nothing
 * here lives longer than a call but what stands in the slot.
 *
 * Thread: the owner's, under its lock, which conn_event(), conn_ready() and conn_answer() drop while a handler runs;
 * conn_detach(): whoever takes the slot, under that lock.
 */
#ifndef RMSD_HTTP_CONN_H
#define RMSD_HTTP_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include "http/loss.h"
#include "http/service.h"

struct rms_request;

enum {
	CONN_REQUESTS = 32,    /* of one connection in one turn */
	CONN_LINGER_MS = 2000, /* how long a connection that is to close is still listened to */
	CONN_LINE_MAX = 256,   /* bytes of a request's line in the log, and some more */
};

/* Its first deadline, before slots_give(). */
void conn_accepted(struct slot *slot, const struct conf *conf);
void conn_event(struct service *service, struct slot *slot, int fd, uint32_t events) REQUIRES(service->owner.lock);
/* Its turn has come again: requests of it were left over. */
void conn_ready(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock);
/* Its deferred request, req, has a reply. req stays the caller's. */
void conn_answer(struct service *service, struct slot *slot, int fd, struct rms_request *req)
	REQUIRES(service->owner.lock);
/* Its deferred request has streamed something, or waits as it did. */
void conn_stream(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock);
/* Acts if its deadline has passed. */
void conn_expire(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock);
/* Shutdown: closes it if it is idle; what is half-way through a request has CONN_LINGER_MS to send the rest. */
void conn_hang_up(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock);

/*
 * A slot in the caller's hands, whose request was with a lost worker, gets the state and the deadline that it goes on
 * with under the next one: what is said already is sent first.
 */
void conn_resume(struct slot *slot, const struct conf *conf);
/*
 * Makes the slot whole without its owner: copies what it has borrowed, and forgets the running request, which the next
 * owner runs again or refuses, and which the caller takes from METRIC_in_flight if it was counted. *now: the next owner
 * has something to do at once. What is to be done with the slot: loss.h.
 */
enum loss_fate conn_detach(struct service *service, struct slot *slot, enum loss_kind kind, bool *now)
	REQUIRES(service->owner.lock);
/*
 * The line of the oldest unanswered request, quoted for the log, into buf, which is no larger than CONN_LINE_MAX; under
 * the owner's lock. Its query may hold what is secret: "?..." stands for it. Returns buf.
 */
const char *conn_line(const struct slot *slot, char *buf, size_t size);

#endif
