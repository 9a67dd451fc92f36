/* handling.c - from a parsed request to its reply, through the app. */
#include "http/handling.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"
#include "base/probe.h"
#include "http/answer.h"
#include "http/loss.h"
#include "http/request.h"

void handling_drop_message(struct slots *slots, struct slot *slot)
{
	if (!slot->message)
		return;
	slots_credit(slots, slot->message->charged);
	message_finish(slot->message);
	free(slot->message);
	slot->message = NULL;
}

void handling_consume(struct slot *slot, uint32_t len)
{
	slot->in_off += len;
	slot->served++;
	slot->running_len = 0;
	slot->lost = 0;
	slot->again = slot->suspect = false;
	slot->started_ns = slot->received_ns;
	slot_enter(slot, CONN_IDLE, 0);
}

/* What is here of a request, and what is still to come, is not looked at any more. */
static void consume_all(const struct service *service, struct slot *slot)
{
	handling_drop_message(service->set.slots, slot);
	handling_consume(slot, slot->in_len - slot->in_off);
	slot->close_after = true;
	slot->linger = true;
	slot->closed_reason = CLOSED_KEEPALIVE_END;
}

/* The slot's request is over: a reply that comes finds another tag and is dropped. */
static void forget(struct service *service, struct slot *slot)
{
	slot->request = NULL;
	slot->deferred = slot->feeding = slot->streamed = false;
	if (slot->counted)
		metrics_sub(service->set.shard, METRIC_in_flight, 1);
}

void handling_abandon(struct service *service, struct slot *slot)
{
	struct rms_request *req = slot->request;
	bool unheard;

	if (!req)
		return;
	PROBE(4, request__end, slots_fd(service->set.slots, slot), service->worker, 0, slot->started_ns);
	/* What the client got of it is a reply all the same. */
	if (slot->streamed && slot->counted)
		metrics_add(service->set.shard, METRIC_responses + METRICS_CODE(req->reply.status), 1);
	/* Its handler has not been called and will not be: who keeps it all the same has asked to be told. */
	unheard = slot->feeding && !req->replied && !req->stream.begun && !req->stream.on_room;
	forget(service, slot);
	if (unheard)
		service_spare(service, req);
	else
		service_gone(service, req);
}

static void commit(struct service *service, struct slot *slot, struct rms_request *req)
{
	bool counted = !req->match.route->uncounted;

	forget(service, slot);
	if (req->stream.begun) {
		answer_end(service, slot, req, counted);
		return;
	}
	if (service_is_ending(service, slot)) {
		slot->linger |= req->reply.keep_alive;
		req->reply.keep_alive = false;
	}
	if (req->reply.hold == HOLD_LENT)
		answer_put(service, slot, &req->reply, counted);
	else
		answer_apart(service, slot, &req->reply, counted);
}

/* The reply came before the body was whole: the rest of the connection means nothing any more. */
static void commit_early(struct service *service, struct slot *slot, struct rms_request *req)
{
	req->reply.keep_alive = false;
	commit(service, slot, req);
	consume_all(service, slot);
}

void handling_answer(struct service *service, struct slot *slot, struct rms_request *req)
{
	assert(slot->request == req);
	if (slot->feeding) {
		commit_early(service, slot, req);
		return;
	}
	commit(service, slot, req);
	handling_consume(slot, slot->running_len);
}

/* req, of message, becomes the slot's. */
static void begin(
	struct service *service, struct slot *slot, int fd, struct rms_request *req, const struct message *message)
{
	/* A scrape of a worker's own port must not see itself. */
	const bool counted = !req->match.route->uncounted;

	if (counted)
		metrics_add(service->set.shard, METRIC_in_flight, 1);
	if (slot->again)
		metrics_add(service->set.shard, METRIC_replayed, 1);
	slot->deferred = true;
	slot->streamed = slot->again = false;
	slot->feeding = req->match.route->body != NULL;
	slot->counted = counted;
	slot->repeat = (uint8_t)loss_repeat(message->method);
	slot->request = req;
	req->tag = slot_tag(slot, fd);
	req->attempt = slot->lost + 1;
	req->served = slot->served;
	req->started_ns = slot->started_ns;
	/* The app may not hear of it before its worker ends. */
	if (slot->feeding)
		service_keep(service, req);
}

/* Before the app is called. */
static void lend(struct service *service, struct slot *slot, struct rms_request *req) RELEASES(service->owner.lock)
{
	assert(!slot->out_len);
	slot->out = service->batch.data;
	slot->out_len = (uint32_t)service->batch.len;
	slot->deferred = false;
	req->in_handler = true;
	lock_release(&service->owner.lock);
}

/* And after it. */
static bool regain(struct service *service, struct slot *slot, struct rms_request *req) ACQUIRES(service->owner.lock)
{
	req->in_handler = false;
	service_beat(service);
	lock_acquire(&service->owner.lock);
	if (!req->replied || req->gone) {
		service_keep(service, req);
		/* One that replies is looked at when its reply is sent. */
		service->now_ns = clock_ns();
	}
	if (service->owner.revoked) {
		if (req->replied && !req->gone)
			service_spare(service, req);
		outbuf_reset(&service->batch, 0);
		return false;
	}
	assert(slot_owner(slot) == service->owner.id);
	slot->out = NULL;
	slot->out_len = 0;
	slot->deferred = true;
	return true;
}

/* Its reply is the connection's. The app may still have it: then it is told. */
static void let_go(struct service *service, struct rms_request *req)
{
	if (req->replied)
		service_spare(service, req);
	else
		service_gone(service, req);
}

static bool call(struct service *service, struct slot *slot, struct rms_request *req) REQUIRES(service->owner.lock)
{
	uint32_t len = slot->running_len;

	slot->feeding = false;
	slot_enter(slot, CONN_HANDLING, 0);
	if (!req->replied) {
		lend(service, slot, req);
		req->handle(req, service->state);
		if (!regain(service, slot, req))
			return false;
	}
	if (!request_is_answered(req))
		return true;
	commit(service, slot, req);
	let_go(service, req);
	handling_consume(slot, len);
	return true;
}

/* What is here of the body and new, to the app: from a copy, since who takes the slot takes its input with it. */
static bool feed(struct service *service, struct slot *slot, struct rms_request *req, const struct message *message)
	REQUIRES(service->owner.lock)
{
	const char *body = slot->in + slot->in_off + message->head_len;
	size_t len = slot->in_len - slot->in_off - message->head_len;

	if (message->chunked) {
		body = message->chunked_body.data;
		len = message->chunked_body.len;
	} else if (len > message->body.len) {
		len = message->body.len;
	}
	if (len == req->fed || req->replied)
		return true;
	outbuf_reset(&service->piece, SERVICE_READ_SIZE);
	outbuf_append(&service->piece, body + req->fed, len - req->fed);
	if (service->piece.failed) {
		metrics_add(service->set.shard, METRIC_errors + ERROR_INTERNAL, 1);
		req->reply.status = 500;
		req->reply.cause = CAUSE_INTERNAL;
		req->stream.bytes.failed = true;
		req->replied = true;
		return true;
	}
	req->fed = len;
	lend(service, slot, req);
	req->match.route->body(req, service->state, service->piece.data, service->piece.len);
	return regain(service, slot, req);
}

/* The route of req, which is message's. */
static void find_route(
	struct service *service, const struct slot *slot, const struct message *message, struct rms_request *req)
{
	struct recent *recent = message == &service->recent.message && service->recent.len ? &service->recent : NULL;

	if (recent && recent->route && recent->role == slot->role) {
		req->match.route = recent->route;
		return;
	}
	router_find(service->set.routers[slot->role], (int)message->method, req->path, strlen(req->path), &req->match);
	/* Parameters lie in the path, which is another one's next time. */
	if (recent && req->match.route && !req->match.route->n_params) {
		recent->route = req->match.route;
		recent->role = slot->role;
	}
}

/*
 * The request that message, with a head that is whole, asks for; with its body, if that is whole and the route does not
 * want pieces. NULL: it is answered already, by reply.
 */
static struct rms_request *prepare(struct service *service, struct slot *slot, struct message *message, bool whole,
	struct reply *reply) REQUIRES(service->owner.lock)
{
	const char *base = slot->in + slot->in_off;
	struct rms_request *req = service_request(service);

	if (!req || !request_fill(req, message, base))
		goto out_of_memory;
	PROBE(5, request__start, slots_fd(service->set.slots, slot), service->worker, req->method, req->path,
		slot->lost + 1);
	req->service = service;
	req->reply = *reply;
	find_route(service, slot, message, req);
	if (!req->match.route || slot->refuse) {
		answer_unhandled(service, slot, &req->match, reply);
		service_spare(service, req);
		return NULL;
	}
	if (whole && !req->match.route->body && !request_fill_body(req, message, base))
		goto out_of_memory;
	req->handle = req->match.route->handle;
	if (faults_active(service->set.faults))
		fault_apply(service, req);
	return req;
out_of_memory:
	request_destroy(req);
	reply->status = 500;
	reply->cause = CAUSE_INTERNAL;
	reply->keep_alive = false;
	metrics_add(service->set.shard, METRIC_errors + ERROR_INTERNAL, 1);
	answer_status(service, slot, reply, "out of memory");
	return NULL;
}

static struct reply reply_to(const struct service *service, struct slot *slot, const struct message *message)
{
	const uint64_t most = service->set.conf->keepalive_requests;
	bool last = (most && slot->served + 1 >= most) || service_is_ending(service, slot);

	/* The client does not know yet: the next request may be on its way. */
	slot->linger |= message->keep_alive && last;
	return (struct reply){
		.head_only = message->method == HTTP_HEAD,
		.keep_alive = message->keep_alive && !last,
		.old_client = message->minor == 0,
	};
}

bool handling_run(struct service *service, struct slot *slot, int fd, struct message *message)
{
	struct rms_request *req = slot->request;
	struct reply reply = reply_to(service, slot, message);
	uint32_t len = message->length;

	if (!req) {
		req = prepare(service, slot, message, true, &reply);
		if (req)
			begin(service, slot, fd, req, message);
	}
	if (slot->feeding) {
		assert(req);
		slot_enter(slot, CONN_READING, slot_deadline(slot));
		if (!feed(service, slot, req, message))
			return false;
		if (request_is_answered(req)) {
			commit(service, slot, req);
			let_go(service, req);
			req = NULL;
		}
	}
	if (message->chunked)
		message_finish(message);
	handling_drop_message(service->set.slots, slot);
	if (!req) {
		handling_consume(slot, len);
		return true;
	}
	slot->running_len = len;
	return call(service, slot, req);
}

/* The route of message, whose body is not whole. */
static void find_early(
	struct service *service, const struct slot *slot, const struct message *message, struct router_match *match)
{
	const char *path = slot->in + slot->in_off + message->path.at;
	size_t len = message->path.len;

	if (message->path_spelled) {
		outbuf_reset(&service->piece, SERVICE_READ_SIZE);
		outbuf_append(&service->piece, path, len);
		*match = (struct router_match){ 0 };
		if (service->piece.failed)
			return;
		path = service->piece.data;
		len = (size_t)path_normalise(service->piece.data, path, len);
	}
	router_find(service->set.routers[slot->role], (int)message->method, path, len, match);
}

/* RFC 9110 section 10.1.1. False: the body is not wanted, the request is answered. */
static bool expect_body(
	struct service *service, struct slot *slot, struct message *message, const struct router_match *match)
{
	struct reply reply = reply_to(service, slot, message);

	if (match->route) {
		message->expect_continue = false;
		outbuf_text(&service->batch, "HTTP/1.1 100 Continue\r\n\r\n");
		return true;
	}
	/* Whether the client sends the body all the same is unknown: what comes next could be either. */
	reply.keep_alive = false;
	answer_unhandled(service, slot, match, &reply);
	consume_all(service, slot);
	return false;
}

bool handling_feed(struct service *service, struct slot *slot, int fd)
{
	struct message *message = slot->message;
	struct rms_request *req = slot->request;
	struct reply reply = reply_to(service, slot, message);
	struct router_match match;

	if (!req) {
		if (!message->expect_continue && !router_takes_pieces(service->set.routers[slot->role]))
			return true;
		find_early(service, slot, message, &match);
		if (message->expect_continue && !expect_body(service, slot, message, &match))
			return true;
		if (!match.route || !match.route->body)
			return true;
		req = prepare(service, slot, message, false, &reply);
		if (!req) {
			consume_all(service, slot);
			return true;
		}
		begin(service, slot, fd, req, message);
	}
	slot_enter(slot, CONN_READING, slot_deadline(slot));
	if (!feed(service, slot, req, message))
		return false;
	if (request_is_answered(req)) {
		commit_early(service, slot, req);
		let_go(service, req);
	}
	return true;
}
